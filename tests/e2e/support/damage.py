# SPDX-License-Identifier: Apache-2.0
"""What can happen to the files of a cache directory while no daemon is there."""
import os
import shutil
import stat

GRANULE = 64 << 10
# A wrong byte has to come from somewhere: files outside of the cache have these bytes only.
OUTSIDE = b'\xa5 not of this lake '


def objects(cache):
    """All files of objects that were not damaged by links, biggest first."""
    found = [p for p in (cache / 'objects').rglob('*')
             if p.is_file() and not p.is_symlink() and p.stat().st_nlink == 1]
    return sorted(found, key=lambda p: (-p.stat().st_size, p))


def data_ranges(path):
    """[(from, to)] that are no holes."""
    found, at = [], 0
    with open(path, 'rb') as f:
        size = os.fstat(f.fileno()).st_size
        while at < size:
            try:
                at = os.lseek(f.fileno(), at, os.SEEK_DATA)
            except OSError:
                break
            end = os.lseek(f.fileno(), at, os.SEEK_HOLE)
            found.append((at, end))
            at = end
    return found


def some_granule(path, chance):
    """(offset, length) of a granule that has bytes, or None."""
    ranges = data_ranges(path)
    if not ranges:
        return None
    start, end = chance.choice(ranges)
    first = chance.randrange(start // GRANULE, (end - 1) // GRANULE + 1) * GRANULE
    return first, min(GRANULE, os.path.getsize(path) - first)


def change(path, offset, data):
    with open(path, 'r+b') as f:
        f.seek(offset)
        f.write(data)


def piece(path, offset, length):
    with open(path, 'rb') as f:
        f.seek(offset)
        return f.read(length)


# Kinds of damage to one file. Each returns False where the file does not lend itself to it.

def flip_bits(path, chance):
    granule = some_granule(path, chance)
    if not granule:
        return False
    for _ in range(chance.randrange(1, 4)):
        offset = granule[0] + chance.randrange(granule[1])
        byte = piece(path, offset, 1)
        if byte:
            change(path, offset, bytes([byte[0] ^ 1 << chance.randrange(8)]))
    return True


def zero_granule(path, chance):
    granule = some_granule(path, chance)
    if granule:
        change(path, granule[0], b'\0' * granule[1])
    return bool(granule)


def punch_granule(path, chance):
    """A hole where bytes were: as after a loss of power."""
    granule = some_granule(path, chance)
    if not granule:
        return False
    size = path.stat().st_size
    data = piece(path, granule[0] + granule[1], size)
    os.truncate(path, granule[0])
    os.truncate(path, size)
    change(path, granule[0] + granule[1], data)
    return True


def swap_granules(path, chance):
    one, other = some_granule(path, chance), some_granule(path, chance)
    if not one or one == other or one[1] != GRANULE or other[1] != GRANULE:
        return False
    a, b = piece(path, *one), piece(path, *other)
    change(path, one[0], b)
    change(path, other[0], a)
    return a != b


def cut(path, chance):
    size = path.stat().st_size
    if size:
        os.truncate(path, chance.randrange(size))
    return size > 0


def lengthen(path, chance):
    with open(path, 'ab') as f:
        f.write(OUTSIDE * 100)
    return True


def overwrite_end(path, chance):
    size = path.stat().st_size
    if size:
        change(path, max(0, size - 100), OUTSIDE * 5)
    return size > 0


def remove(path, chance):
    path.unlink()
    return True


def empty(path, chance):
    os.truncate(path, 0)
    return True


def link_outside(path, chance):
    """A symbolic link to a file of the same size with other bytes."""
    size = path.stat().st_size
    target = outside_of(path) / path.name
    target.write_bytes((OUTSIDE * (size // len(OUTSIDE) + 1))[:size])
    path.unlink()
    path.symlink_to(target)
    return True


def hard_link_outside(path, chance):
    size = path.stat().st_size
    target = outside_of(path) / path.name
    target.write_bytes((OUTSIDE * (size // len(OUTSIDE) + 1))[:size])
    path.unlink()
    os.link(target, path)
    return True


def link_to_device(path, chance):
    path.unlink()
    path.symlink_to('/dev/zero')
    return True


def fifo(path, chance):
    path.unlink()
    os.mkfifo(path)
    return True


def directory(path, chance):
    path.unlink()
    path.mkdir()
    (path / 'x').write_bytes(OUTSIDE)
    return True


def link_parent(path, chance):
    """The directory of the file is a symbolic link to one outside with the same names."""
    parent, target = path.parent, outside_of(path) / path.parent.name
    if parent.is_symlink() or target.exists():
        return False
    shutil.copytree(parent, target, symlinks=True)
    for p in target.iterdir():
        if stat.S_ISREG(p.lstat().st_mode):
            p.write_bytes((OUTSIDE * (p.stat().st_size // len(OUTSIDE) + 1))[:p.stat().st_size])
    shutil.rmtree(parent)
    parent.symlink_to(target)
    return True


def another_object(path, chance):
    """The file of another object in this one's place."""
    others = [p for p in path.parents[1].rglob('*')
              if p != path and p.is_file() and not p.is_symlink() and p.stat().st_size]
    if others:
        shutil.copyfile(chance.choice(sorted(others)), path)
    return bool(others)


BYTES = [flip_bits, zero_granule, punch_granule, swap_granules, overwrite_end]
FILES = [cut, lengthen, remove, empty, link_outside, hard_link_outside, link_to_device, fifo,
         directory, link_parent, another_object]


def outside_of(path):
    """A directory beside the cache."""
    cache = next(p for p in path.parents if p.name == 'objects').parent
    where = cache.parent / (cache.name + '-outside')
    where.mkdir(exist_ok=True)
    return where


def outside_is_untouched(cache):
    """Nobody wrote through a link to what is outside."""
    where = cache.parent / (cache.name + '-outside')
    if not where.exists():
        return
    for p in where.rglob('*'):
        if p.is_file():
            data = p.read_bytes()
            assert data == (OUTSIDE * (len(data) // len(OUTSIDE) + 1))[:len(data)], p


def database(path, chance):
    """One kind of damage to an LMDB file: its name."""
    data = bytearray(path.read_bytes())
    pages = len(data) // 4096
    kind = chance.choice(['bits', 'page', 'zeros', 'swap', 'cut', 'meta', 'old', 'link'])
    if kind == 'bits':
        for _ in range(chance.randrange(1, 20)):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    elif kind == 'page':
        at = chance.randrange(pages) * 4096
        data[at:at + 4096] = chance.randbytes(4096)
    elif kind == 'zeros':
        at = chance.randrange(pages) * 4096
        data[at:at + 4096] = b'\0' * 4096
    elif kind == 'swap':
        a, b = (chance.randrange(pages) * 4096 for _ in range(2))
        data[a:a + 4096], data[b:b + 4096] = data[b:b + 4096], data[a:a + 4096]
    elif kind == 'cut':
        del data[chance.randrange(len(data)):]
    elif kind == 'meta':
        data[16 + chance.randrange(200)] ^= 1 << chance.randrange(8)
    elif kind == 'old':                         # the newer of the two meta pages is gone
        data[4096:8192] = data[0:4096]
    elif kind == 'link':
        target = path.parent.parent / (path.parent.name + '-' + path.name)
        target.write_bytes(data)
        path.unlink()
        path.symlink_to(target)
        return kind
    path.write_bytes(data)
    return kind
