"""Tryton's own application on a free loopback port, told on the first line of output.

Runs in Tryton's environment; TRYTOND_CONFIG and TRYTOND_DATABASE_NAMES say what is served.
"""

from trytond.application import app
from werkzeug.serving import make_server

server = make_server("127.0.0.1", 0, app, threaded=True)
print(server.server_port, flush=True)
server.serve_forever()
