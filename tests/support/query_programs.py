"""Query programs of bots: one as it should be, and one that does whatever it should not."""

from __future__ import annotations

GOOD = """
import time
from the0 import query, state

@query.handler("/all")
def everything(request):
    return {"params": request.params, "config": query.get_config(), "huge": 2**100}

@query.handler("/a b/ä")
def odd(request):
    return request.path

@query.handler("/broken")
def broken(request):
    raise ValueError("no \\x1b[31mmarket")

@query.handler("/slow")
def slow(request):
    time.sleep(float(request.get("sec")))
    return "late"

@query.handler("/write")
def write(request):
    open("/state/x", "w")

query.run()
"""

HOSTILE = """
import os, socket, threading, time

HEAD = b"HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\n"

def hang(connection):
    time.sleep(3600)

def long(connection):
    connection.sendall(HEAD + b"Content-Length: 100\\r\\n\\r\\n{}")
    time.sleep(3600)

def cut(connection):
    connection.sendall(HEAD + b"Content-Length: 100\\r\\n\\r\\n{}")

def short(connection):
    connection.sendall(HEAD + b'Content-Length: 5\\r\\n\\r\\n{"status":"ok"}')

def stream(connection):
    connection.sendall(HEAD + b"Transfer-Encoding: chunked\\r\\n\\r\\n")
    while True:
        connection.sendall(b"10000\\r\\n" + b"[" * 65536 + b"\\r\\n")

def drip(connection):
    connection.sendall(HEAD + b"\\r\\n")
    while True:
        connection.sendall(b" ")
        time.sleep(0.05)

def deep(connection):
    connection.sendall(HEAD + b"\\r\\n" + b"[" * 200000 + b"]" * 200000)

def redirect(connection):
    connection.sendall(b"HTTP/1.1 302 Found\\r\\nLocation: http://127.0.0.1:27017/\\r\\n"
                       b"Content-Length: 0\\r\\n\\r\\n")

def half(connection):
    connection.sendall(b"HTTP/1.1 200 O")
    connection.shutdown(socket.SHUT_WR)
    time.sleep(3600)

def missing(connection):
    connection.sendall(b"HTTP/1.1 404 No\\r\\nContent-Length: 0\\r\\n\\r\\n")

def crash(connection):
    os._exit(3)

def words(connection):
    connection.sendall(b'HTTP/1.1 500 No\\r\\n\\r\\n{"error": "\\\\u001b[2J\\\\nERROR forged"}')

def large(connection):
    connection.sendall(HEAD + b"\\r\\n" + b'"' + b"x" * (1 << 20) + b'"')

def half_a_mib(connection):
    connection.sendall(HEAD + b"\\r\\n" + b'"' + b"x" * (500 << 10) + b'"')

def headers(connection):
    body = repr(request_of[connection]).encode()
    connection.sendall(HEAD + b"\\r\\n" + b'"%s"' % body.hex().encode())

request_of = {}

def serve(connection):
    request = request_of[connection] = connection.recv(65536)
    name = request.split(b" ")[1].split(b"?")[0].decode()[1:]
    if name == "health":
        connection.sendall(HEAD + b"Content-Length: 2\\r\\n\\r\\n{}")
    else:
        globals()[name](connection)
    connection.close()

with socket.create_server(("", int(os.environ["THE0_QUERY_PORT"]))) as server:
    while True:
        threading.Thread(target=serve, args=[server.accept()[0]], daemon=True).start()
"""
