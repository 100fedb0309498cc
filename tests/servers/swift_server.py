"""Runs OpenStack Swift with its S3 interface in one process: `swift_server.py FOLDER PORT`, by the Python that has swift.

Proxy, account, container and object server each listen on loopback, with one device in FOLDER, which must be on a file
system with extended attributes. Prints a line when all of them listen. Nothing here is durable or safe: it is for tests.
"""

import eventlet

eventlet.monkey_patch()

import os  # noqa: E402
import sys  # noqa: E402

from eventlet import wsgi  # noqa: E402
from swift.common import utils  # noqa: E402
from swift.common.ring.builder import RingBuilder  # noqa: E402

USER, KEY = "test:artist", "swift-secret-of-tests"

CONF = """\
[swift-hash]
swift_hash_path_prefix = tests
swift_hash_path_suffix = tests
[storage-policy:0]
name = one
default = yes
"""

SERVER = """\
[DEFAULT]
devices = {folder}/devices
swift_dir = {folder}/etc
mount_check = false
disable_fallocate = true
[app:main]
use = egg:swift#{role}
"""

PROXY = """\
[DEFAULT]
swift_dir = {folder}/etc
[pipeline:main]
pipeline = catch_errors gatekeeper cache listing_formats bulk s3api tempauth slo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{nothing}
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
allow_multipart_uploads = true
[filter:tempauth]
use = egg:swift#tempauth
user_{user} = {key} .admin
[filter:slo]
use = egg:swift#slo
"""


def make_ring(folder: str, role: str, port: int) -> None:
    """Writes a ring of one device."""
    builder = RingBuilder(4, 1, 1)
    builder.add_dev(
        {"id": 0, "region": 1, "zone": 1, "weight": 1.0, "ip": "127.0.0.1", "port": port, "device": "disk", "meta": ""}
    )
    builder.rebalance()
    builder.get_ring().save(os.path.join(folder, "etc", f"{role}.ring.gz"))


def main(folder: str, port: int) -> None:
    """Makes the folder's settings and serves until it is ended."""
    os.makedirs(os.path.join(folder, "etc"), exist_ok=True)
    os.makedirs(os.path.join(folder, "devices", "disk"), exist_ok=True)
    with open(os.path.join(folder, "etc", "swift.conf"), "w", encoding="ascii") as file:
        file.write(CONF)
    sockets = {role: eventlet.listen(("127.0.0.1", 0), backlog=256) for role in ("account", "container", "object")}
    for role, socket in sockets.items():
        make_ring(folder, role, socket.getsockname()[1])
    utils.set_swift_dir(os.path.join(folder, "etc"))
    from swift.common import storage_policy
    from swift.common.wsgi import loadapp

    storage_policy.reload_storage_policies()
    sockets["proxy"] = eventlet.listen(("127.0.0.1", port), backlog=256)
    closed = eventlet.listen(("127.0.0.1", 0))  # bound and never answered: there is no memcached
    values = {"folder": folder, "user": USER.replace(":", "_"), "key": KEY, "nothing": closed.getsockname()[1]}
    closed.close()
    nowhere = open(os.devnull, "w")  # noqa: SIM115 - as long as the process
    for role, socket in sockets.items():
        place = os.path.join(folder, "etc", f"{role}.conf")
        with open(place, "w", encoding="ascii") as file:
            file.write((PROXY if role == "proxy" else SERVER).format(role=role, **values))
        eventlet.spawn(wsgi.server, socket, loadapp(place), nowhere)
    print("listening", flush=True)
    eventlet.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
