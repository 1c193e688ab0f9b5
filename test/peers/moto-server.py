"""
Moto's server, one request at a time: its state is not made for several threads, which a racing pair of puts shows with a 500. Another thing of a name
that is taken is refused, as IoT Core does; moto would replace the first.
"""

import sys

from moto.iot.exceptions import ResourceAlreadyExistsException
from moto.iot.models import IoTBackend
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

replace_thing = IoTBackend.create_thing


def create_thing(self, thing_name, *given, **named):
    taken = next((thing for thing in self.things.values() if thing.thing_name == thing_name), None)
    if taken is not None:
        raise ResourceAlreadyExistsException(f"Thing {thing_name} already exists", thing_name, taken.arn)
    return replace_thing(self, thing_name, *given, **named)


IoTBackend.create_thing = create_thing
run_simple("127.0.0.1", int(sys.argv[1]), DomainDispatcherApplication(create_backend_app), threaded=False)
