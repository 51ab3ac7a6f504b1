"""The rows of test_options.py for `stockkeeper route`, which has most options in common with `serve`."""

ROUTE_OPTIONS: list[tuple[str, str, str, str | None, object]] = [
    ("route", "--cells-map", "STOCKKEEPER_CELLS_MAP", "m.toml", "m.toml"),
    ("route", "--calls-max", "STOCKKEEPER_CALLS_MAX", "7", 7),
    ("route", "--cell-wait-s", "STOCKKEEPER_CELL_WAIT_S", "2.5", 2.5),
    ("route", "--link-cert", "STOCKKEEPER_LINK_CERT", "c.pem", "c.pem"),
    ("route", "--link-key", "STOCKKEEPER_LINK_KEY", "k.pem", "k.pem"),
    ("route", "--link-ca", "STOCKKEEPER_LINK_CA", "a.pem", "a.pem"),
    ("cells move cells.toml shop", "--link-cert", "STOCKKEEPER_LINK_CERT", "c.pem", "c.pem"),
    ("cells move cells.toml shop", "--link-key", "STOCKKEEPER_LINK_KEY", "k.pem", "k.pem"),
    ("cells move cells.toml shop", "--link-ca", "STOCKKEEPER_LINK_CA", "a.pem", "a.pem"),
    *(
        ("serve", f"--link-{option}", f"STOCKKEEPER_LINK_{option.upper()}", value, value)
        for option, value in (
            *(("listen", "h:1"), ("name", "router")),
            *(("cert", "c.pem"), ("key", "k.pem"), ("ca", "a.pem")),
        )
    ),
    *(
        ("route", f"--{option}", *values)
        for option, *values in (
            ("host", "GRPC_HOST", "0.0.0.0", "0.0.0.0"),
            ("port", "GRPC_PORT", "0", 0),
            ("transport", "STOCKKEEPER_TRANSPORT", "grpc-aio", "grpc-aio"),
            ("message-bytes-max", "MESSAGE_BYTES_MAX", "2048", 2_048),
            ("tls-cert", "GRPC_TLS_CERT", "c.pem", "c.pem"),
            ("tls-key", "GRPC_TLS_KEY", "k.pem", "k.pem"),
            ("tls-client-ca", "GRPC_TLS_CLIENT_CA", "a.pem", "a.pem"),
            ("insecure-network", "", None, True),
            ("no-reflection", "", None, True),
            ("keys-file", "GRPC_KEYS_FILE", "keys.toml", "keys.toml"),
            ("token-jwks", "GRPC_TOKEN_JWKS", "jwks.json", "jwks.json"),
            ("token-issuer", "GRPC_TOKEN_ISSUER", "a", "a"),
            ("token-audience", "GRPC_TOKEN_AUDIENCE", "a", "a"),
            ("token-leeway-s", "GRPC_TOKEN_LEEWAY_S", "7", 7),
            ("token-algorithms", "GRPC_TOKEN_ALGORITHMS", "ES384", "ES384"),
            ("token-organizations-claim", "GRPC_TOKEN_ORGANIZATIONS_CLAIM", "a", "a"),
            ("token-scopes-claim", "GRPC_TOKEN_SCOPES_CLAIM", "scp", "scp"),
            ("grace-s", "", "2.5", 2.5),
            ("log-level", "LOG_LEVEL", "debug", "debug"),
            ("log-format", "LOG_FORMAT", "json", "json"),
            ("metrics-port", "METRICS_PORT", "0", 0),
            ("metrics-host", "METRICS_HOST", "0.0.0.0", "0.0.0.0"),
            ("metrics-path", "METRICS_PATH", "/m", "/m"),
            ("slow-call-ms", "SLOW_CALL_MS", "7", 7),
            ("traces", "", None, True),
        )
    ),
]
