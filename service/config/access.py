"""Who may reach the ports, and with what: mistakes that no single setting shows."""

from service.config.auth import Kind
from service.config.settings import Tree
from service.document import Document
from service.units import is_loopback


def check_credentials(document: Document, tree: Tree) -> None:
    """Routes that credentials name are there, and credentials that routes name are taken."""
    auth = tree.server.auth
    kinds = frozenset[Kind]() if auth is None else auth.kinds
    for name, route in tree.routes.items():
        for kind in route.auth or ():
            if kind not in kinds:
                document.add(("routes", name, "auth"), f"`{kind}` are not taken by this server: see server.auth")
        if route.auth == () and not kinds:
            document.add(("routes", name, "auth"), "the server asks nobody who he is: leave this out")
    if auth is None:
        return
    if auth.certificates and (tree.server.tls is None or tree.server.tls.clients == "none"):
        document.add(
            ("server", "auth", "certificates"),
            "nobody is asked for a certificate: give server.tls with `clients: optional` or `required`",
        )
    named = [(("server", "auth", "jwt", str(at)), each.routes) for at, each in enumerate(auth.jwt)]
    named += [(("server", "auth", "certificates", str(at)), each.routes) for at, each in enumerate(auth.certificates)]
    for place, routes in named:
        for route_name in routes or ():
            if route_name not in tree.routes:
                document.add((*place, "routes"), f"there is no route {route_name!r}")


def check_ports(document: Document, tree: Tree) -> None:
    """Ports that others reach ask who is there, or it is said that they do not."""
    server, admin = tree.server, tree.admin
    if server.auth is None and not is_loopback(server.host):
        document.add(
            ("server", "auth"),
            f"{server.host} is reached from elsewhere: say who may send, such as `auth: {{keys_file: keys.yaml, "
            "pepper_file: pepper}}`, or that anybody may, `auth: none`",
        )
    if admin.token is None and not is_loopback(admin.host):
        document.add(("admin", "token"), f"{admin.host} is reached from elsewhere: set a token")
    if server.port and server.port == admin.port and server.host == admin.host:
        document.add(("admin", "port"), f"{admin.port} is the server's port too")
