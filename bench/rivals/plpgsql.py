"""asyncpg and one call of a PL/pgSQL function: one round trip an order, which holds its locks inside it only."""

import asyncpg  # type: ignore[import-untyped]
from stockkeeper_client.v1 import inventory_pb2 as pb

from bench.rivals.frame import InsufficientStock, answer, arguments, expiry, new_id, run, serve, wanted

CALL = "SELECT id, until, variant, warehouse, pieces, before FROM reserve($1, $2, $3, $4, $5, $6, $7)"


async def main() -> None:
    options = arguments()
    pool = await asyncpg.create_pool(options.url, min_size=options.pool, max_size=options.pool)

    async def reserve(request: pb.ReserveStockRequest) -> pb.ReserveStockResponse:
        lines = wanted(request)
        try:
            rows = await pool.fetch(
                CALL,
                request.organization_id,
                request.order_id,
                [variant_id for (variant_id, _), _ in lines],
                [warehouse_id for (_, warehouse_id), _ in lines],
                [quantity for _, quantity in lines],
                new_id(),
                expiry(request),
            )
        except asyncpg.CheckViolationError as error:
            raise InsufficientStock(str(error)) from None
        return answer(str(rows[0][0]), rows[0][1], [tuple(row)[2:] for row in rows])

    await serve("plpgsql", reserve)


if __name__ == "__main__":
    run(main())
