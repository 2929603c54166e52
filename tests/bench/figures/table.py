# SPDX-License-Identifier: Apache-2.0
"""The table that is printed: what was measured, what it is compared with, and what is demanded."""
import dataclasses

AT_LEAST, AT_MOST = 'at least', 'at most'


@dataclasses.dataclass
class Row:
    what: str
    figure: str
    beside: str = ''
    ratio: float = None
    bound: float = None                         # what is demanded of the ratio
    sense: str = AT_LEAST

    def holds(self):
        if self.bound is None:
            return None
        return self.ratio >= self.bound if self.sense == AT_LEAST else self.ratio <= self.bound


class Table:
    """Prints rows as they come and counts which of the demands hold."""

    def __init__(self):
        self.rows = []

    def section(self, title):
        print('\n%s\n%s' % (title, '-' * len(title)), flush=True)

    def note(self, text):
        print('  (%s)' % text, flush=True)

    def row(self, what, figure, beside='', ratio=None, bound=None, sense=AT_LEAST):
        made = Row(what, figure, beside, ratio, bound, sense)
        self.rows.append(made)
        demanded = {None: '', True: 'ok', False: 'MISSED'}[made.holds()]
        if bound is not None:
            demanded = '%s %.2f  %s' % (sense, bound, demanded)
        print('%-46s %18s  %-28s %5s  %s' % (
            what, figure, beside, '' if ratio is None else '%.2f' % ratio, demanded), flush=True)

    def end(self):
        """Prints the count; whether all demands hold."""
        demanded = [r for r in self.rows if r.bound is not None]
        missed = [r for r in demanded if not r.holds()]
        print('\n%d of %d demands hold' % (len(demanded) - len(missed), len(demanded)))
        for r in missed:
            print('  missed: %s: %.3f, %s %.2f' % (r.what, r.ratio, r.sense, r.bound))
        return not missed
