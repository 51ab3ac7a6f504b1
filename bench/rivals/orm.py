"""SQLAlchemy's ORM on Postgres: the rows of an order are locked in sorted order with SELECT … FOR UPDATE."""

from datetime import UTC, datetime

from sqlalchemy import DateTime, ForeignKey, Uuid, select, tuple_
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, selectinload
from stockkeeper_client.v1 import inventory_pb2 as pb

from bench.rivals.frame import InsufficientStock, answer, arguments, expiry, new_id, run, serve, wanted


class Base(DeclarativeBase):
    pass


class Stock(Base):
    __tablename__ = "stock"

    organization_id: Mapped[str] = mapped_column(primary_key=True)
    variant_id: Mapped[str] = mapped_column(primary_key=True)
    warehouse_id: Mapped[str] = mapped_column(primary_key=True)
    available: Mapped[int]
    reserved: Mapped[int]


class Item(Base):
    __tablename__ = "reservation_item"

    reservation_id: Mapped[str] = mapped_column(
        Uuid(as_uuid=False), ForeignKey("reservation.reservation_id"), primary_key=True
    )
    line: Mapped[int] = mapped_column(primary_key=True)
    variant_id: Mapped[str]
    warehouse_id: Mapped[str]
    quantity: Mapped[int]
    stock_before: Mapped[int]


class Reservation(Base):
    __tablename__ = "reservation"

    reservation_id: Mapped[str] = mapped_column(Uuid(as_uuid=False), primary_key=True)
    organization_id: Mapped[str]
    order_id: Mapped[str]
    state: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    items: Mapped[list[Item]] = relationship(order_by=Item.line)


def to_answer(reservation: Reservation) -> pb.ReserveStockResponse:
    items = [(item.variant_id, item.warehouse_id, item.quantity, item.stock_before) for item in reservation.items]
    return answer(reservation.reservation_id, reservation.expires_at, items)


async def find(session: AsyncSession, request: pb.ReserveStockRequest) -> Reservation | None:
    return await session.scalar(
        select(Reservation)
        .where(Reservation.organization_id == request.organization_id, Reservation.order_id == request.order_id)
        .options(selectinload(Reservation.items))
    )


async def take(session: AsyncSession, request: pb.ReserveStockRequest) -> Reservation:
    lines = wanted(request)
    rows = await session.scalars(
        select(Stock)
        .where(
            Stock.organization_id == request.organization_id,
            tuple_(Stock.variant_id, Stock.warehouse_id).in_([key for key, _ in lines]),
        )
        .order_by(Stock.variant_id, Stock.warehouse_id)
        .with_for_update()
    )
    stock = {(row.variant_id, row.warehouse_id): row for row in rows}
    reservation = Reservation(
        reservation_id=new_id(),
        organization_id=request.organization_id,
        order_id=request.order_id,
        state="active",
        created_at=datetime.now(UTC),
        expires_at=expiry(request),
    )
    for line, (key, quantity) in enumerate(lines):
        row = stock.get(key)
        if row is None or row.available < quantity:
            raise InsufficientStock(f"variant {key[0]}")
        item = Item(line=line, variant_id=key[0], warehouse_id=key[1], quantity=quantity, stock_before=row.available)
        reservation.items.append(item)
        row.available -= quantity
        row.reserved += quantity
    session.add(reservation)
    return reservation


async def main() -> None:
    options = arguments()
    engine = create_async_engine(
        options.url.replace("postgresql://", "postgresql+asyncpg://"), pool_size=options.pool, max_overflow=0
    )
    sessions = async_sessionmaker(engine, expire_on_commit=False)

    async def reserve(request: pb.ReserveStockRequest) -> pb.ReserveStockResponse:
        try:
            async with sessions.begin() as session:
                reservation = await find(session, request) or await take(session, request)
        except IntegrityError:  # the same order, made meanwhile by another call
            async with sessions.begin() as session:
                known = await find(session, request)
            assert known is not None
            return to_answer(known)
        return to_answer(reservation)

    await serve("orm", reserve)


if __name__ == "__main__":
    run(main())
