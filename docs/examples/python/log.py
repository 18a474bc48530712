#!/usr/bin/env python3
"""Usage: log.py DIRECTORY [EVENT...]
Appends the events to the log in that directory, reads everything, and goes on until nothing comes for a second.
"""
import ctypes
import sys
from ctypes import POINTER, byref, c_char, c_int32, c_int64, c_size_t, c_uint32, c_void_p

flowstone = ctypes.CDLL("libflowstone.so.0")
OK, EXISTS, ANY_PARTITION, FOREVER = 0, 9, -1, -1


def struct(name, **members):
    return type(name, (ctypes.Structure,), {"_fields_": list(members.items())})


Bytes = struct("flowstone_bytes", data=POINTER(c_char), size=c_size_t)
Error = struct("flowstone_error", code=c_int32, fate=c_int32, advice=c_int32, os_errno=c_int32, message=c_char * 496)
Record = struct("flowstone_record", key=Bytes, value=Bytes, headers=c_void_p, header_count=c_size_t,
                timestamp_ms=c_int64, has_timestamp=c_uint32, reserved=c_uint32)
View = struct("flowstone_view", offset=c_int64, timestamp_ms=c_int64, key=Bytes, value=Bytes, encoded_headers=Bytes)
From = struct("flowstone_from", kind=c_int32, reserved=c_uint32, value=c_int64)


def text(value):
    encoded = value.encode()
    return Bytes(ctypes.cast(ctypes.c_char_p(encoded), POINTER(c_char)), len(encoded))


def call(name, *arguments, fine=(OK,)):
    error = Error()
    if getattr(flowstone, name)(*arguments, byref(error)) not in fine:
        sys.exit(error.message.decode())


log, topic, reader = c_void_p(), c_void_p(), c_void_p()
call("flowstone_log_open", text(sys.argv[1]), None, byref(log))
call("flowstone_log_create_topic", log, text("payments"), None, None, fine=(OK, EXISTS))
call("flowstone_log_topic", log, text("payments"), byref(topic))
for event in sys.argv[2:]:  # each is on stable storage when its call returns
    record = Record(key=text("card 7"), value=text(event))
    call("flowstone_topic_append", topic, byref(record), c_int32(ANY_PARTITION), None)

call("flowstone_topic_read", topic, c_int32(0), From(), byref(reader))  # from the beginning
views, count = (View * 64)(), c_size_t(1)
while count.value > 0:
    call("flowstone_reader_read", reader, views, c_size_t(64), c_int64(1000), byref(count))
    for view in views[:count.value]:
        print(view.offset, view.value.data[:view.value.size].decode(), flush=True)
flowstone.flowstone_reader_free(reader)
flowstone.flowstone_topic_free(topic)
call("flowstone_log_close", log, c_int64(FOREVER))
