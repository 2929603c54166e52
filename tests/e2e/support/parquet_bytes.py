# SPDX-License-Identifier: Apache-2.0
"""All bytes of a Parquet file: as they are, and every page decompressed."""
import pyarrow as pa
import pyarrow.parquet as pq

from support.present import chunk_ranges

CODECS = {'SNAPPY': 'snappy', 'GZIP': 'gzip', 'BROTLI': 'brotli', 'ZSTD': 'zstd', 'LZ4': 'lz4_raw',
          'LZ4_RAW': 'lz4_raw'}
DATA, DICTIONARY, DATA_V2 = 0, 2, 3


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def zigzag(data, at):
    value, at = varint(data, at)
    return (value >> 1) ^ -(value & 1), at


def thrift(data, at):
    """A struct of the compact protocol as {field: value}, and where it ends."""
    fields, last = {}, 0
    while data[at]:
        kind, delta = data[at] & 15, data[at] >> 4
        at += 1
        if delta:
            last += delta
        else:
            last, at = zigzag(data, at)
        fields[last], at = thrift_value(data, at, kind)
    return fields, at + 1


def thrift_value(data, at, kind):
    if kind in (1, 2):
        return kind == 1, at
    if kind == 3:
        return data[at], at + 1
    if kind in (4, 5, 6):
        return zigzag(data, at)
    if kind == 7:
        return data[at:at + 8], at + 8
    if kind == 8:
        size, at = varint(data, at)
        return data[at:at + size], at + size
    if kind in (9, 10):
        size, inner = data[at] >> 4, data[at] & 15
        at += 1
        if size == 15:
            size, at = varint(data, at)
        values = []
        for _ in range(size):
            value, at = ((data[at] == 1, at + 1) if inner in (1, 2)
                         else thrift_value(data, at, inner))
            values.append(value)
        return values, at
    assert kind == 12, kind
    return thrift(data, at)


def pages(data, start, size, codec):
    """(type, header, decompressed bytes) of every page of a chunk."""
    at, end = start, start + size
    while at < end:
        header, body = thrift(data, at)
        at = body + header[3]
        stored, plain = data[body:at], header[2]
        levels = header[8][5] + header[8][6] if header[1] == DATA_V2 else 0
        bare = codec == 'UNCOMPRESSED' or (header[1] == DATA_V2 and header[8].get(7) is False)
        if not bare and plain > levels:
            stored = stored[:levels] + pa.decompress(stored[levels:], plain - levels,
                                                     CODECS[codec]).to_pybytes()
        yield header[1], header, stored
    assert at == end


def all_pages(path):
    data, meta = path.read_bytes(), pq.ParquetFile(path).metadata
    codecs = [meta.row_group(g).column(c).compression for g in range(meta.num_row_groups)
              for c in range(meta.num_columns)]
    for (name, start, size), codec in zip(chunk_ranges(path), codecs):
        for kind, header, body in pages(data, start, size, codec):
            yield name, kind, header, body


def searched(path):
    """One run of bytes in which whatever the file holds is found."""
    return b'\0'.join([path.read_bytes(), *(body for _, _, _, body in all_pages(path))])
