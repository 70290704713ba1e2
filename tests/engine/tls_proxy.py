"""Speaks TLS in front of an engine's unix socket, and asks clients for a certificate.

usage: tls_proxy.py ADDRESS PORT CA CERTIFICATE KEY SOCKET
"""

import socket
import ssl
import sys
import threading

address, port, authority, certificate, key, target = sys.argv[1:]


def pass_on(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def serve(connection):
    try:
        client = context.wrap_socket(connection, server_side=True)
    except OSError:
        connection.close()
        return
    engine = socket.socket(socket.AF_UNIX)
    engine.connect(target)
    # The client's side never ends first: what is wanted of it is known from the request.
    threading.Thread(target=pass_on, args=(client, engine), daemon=True).start()
    pass_on(engine, client)
    client.close()
    engine.close()


context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority)
context.verify_mode = ssl.CERT_REQUIRED
context.load_cert_chain(certificate, key)
listener = socket.create_server((address, int(port)))
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
