"""The body models: an order as a CloudEvent, as pydantic checks it."""

from pydantic import BaseModel


class Customer(BaseModel):
    """Who ordered."""

    id: str
    email: str | None = None
    country: str | None = None


class Item(BaseModel):
    """One line of an order."""

    sku: str
    qty: int
    price: float | None = None
    name: str | None = None


class Order(BaseModel):
    """The data of an event."""

    order_id: str
    customer: Customer
    items: list[Item]
    total: float
    currency: str
    notes: str | None = None


class Event(BaseModel):
    """A structured CloudEvent."""

    specversion: str
    id: str
    source: str
    type: str
    time: str | None = None
    subject: str | None = None
    datacontenttype: str | None = None
    data: Order
