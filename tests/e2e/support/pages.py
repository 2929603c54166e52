# SPDX-License-Identifier: Apache-2.0
"""
What lies in a Parquet file's pages, decompressed: also what no reader shows, such as words of a
dictionary that no row refers to. (parquet.thrift: PageHeader; Thrift's compact protocol)
"""
import pyarrow as pa
import pyarrow.parquet as pq

CODECS = {'SNAPPY': 'snappy', 'GZIP': 'gzip', 'BROTLI': 'brotli', 'ZSTD': 'zstd', 'LZ4': 'lz4_raw'}
DATA_PAGE, INDEX_PAGE, DICTIONARY_PAGE, DATA_PAGE_V2 = range(4)


class Compact:
    """A struct in Thrift's compact protocol: values by field id, structs as such again."""

    def __init__(self, data, at):
        self.data, self.at = data, at

    def varint(self):
        value = shift = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 0x7f) << shift
            if byte < 0x80:
                return value
            shift += 7

    def number(self):
        value = self.varint()
        return value >> 1 ^ -(value & 1)

    def value(self, kind):
        if kind in (1, 2):
            return kind == 1
        if kind == 3:
            self.at += 1
            return self.data[self.at - 1]
        if kind in (4, 5, 6):
            return self.number()
        if kind == 7:
            self.at += 8
            return None
        if kind == 8:
            size = self.varint()
            self.at += size
            return bytes(self.data[self.at - size:self.at])
        assert kind == 12, 'type %d in a page header' % kind
        return self.struct()

    def struct(self):
        found, field = {}, 0
        while True:
            head = self.data[self.at]
            self.at += 1
            if head == 0:
                return found
            field = field + (head >> 4) if head >> 4 else self.number()
            found[field] = self.value(head & 15)


def chunk_pages(data, start, end, codec):
    """The pages' contents, one after another."""
    def unpacked(body, size):
        return pa.decompress(body, size, codec, asbytes=True) if codec and size else bytes(body)
    while start < end:
        reader = Compact(data, start)
        head = reader.struct()
        body = data[reader.at:reader.at + head[3]]
        start = reader.at + head[3]
        if head[1] != DATA_PAGE_V2:
            yield unpacked(body, head[2])
            continue
        levels = head[8].get(5, 0) + head[8].get(6, 0)
        yield bytes(body[:levels])
        packed = head[8].get(7, True)
        yield unpacked(body[levels:], head[2] - levels) if packed else bytes(body[levels:])


def contents(data):
    """Every page of a Parquet file (bytes), decompressed."""
    meta = pq.ParquetFile(pa.BufferReader(data)).metadata
    for g in range(meta.num_row_groups):
        for c in range(meta.num_columns):
            chunk = meta.row_group(g).column(c)
            start = chunk.data_page_offset
            if chunk.has_dictionary_page and chunk.dictionary_page_offset:
                start = min(start, chunk.dictionary_page_offset)
            codec = CODECS.get(chunk.compression)
            assert codec or chunk.compression == 'UNCOMPRESSED', chunk.compression
            yield from chunk_pages(memoryview(data), start, start + chunk.total_compressed_size, codec)
