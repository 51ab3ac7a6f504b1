"""All that a schema of Postgres consists of, as lines that can be compared."""


def described(schema: str) -> str:
    """What Postgres says of a schema's tables: columns, constraints, indexes, storage; each name without the schema."""
    relation = f"c.relnamespace = '{schema}'::regnamespace"
    definitions = f"""
        SELECT c.relname || ' ' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull
            || ' ' || coalesce(pg_get_expr(d.adbin, d.adrelid), '') || ' ' || coalesce(l.collname, '')
            || ' ' || a.attgenerated::text || ' ' || coalesce(col_description(c.oid, a.attnum), '')
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
            LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (c.oid, a.attnum)
            LEFT JOIN pg_collation l ON l.oid = a.attcollation
        WHERE {relation} AND c.relkind = 'r'
        UNION ALL SELECT c.relname || ' ' || conname || ' ' || pg_get_constraintdef(k.oid)
        FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid WHERE {relation}
        UNION ALL SELECT replace(pg_get_indexdef(c.oid), '{schema}.', '') FROM pg_class c
        WHERE {relation} AND c.relkind = 'i'
        UNION ALL SELECT c.relname || ' ' || coalesce(c.reloptions::text, '') FROM pg_class c
        WHERE {relation} AND c.relkind = 'r'
        UNION ALL SELECT version_num FROM {schema}.stockkeeper_schema_version
        UNION ALL SELECT concat_ws(' ', singleton, last_lsn, entries_from_lsn, length(database_id))
        FROM {schema}.ownership"""
    return f"SELECT * FROM ({definitions}) AS all_of_it(line) ORDER BY line;"
