# SPDX-License-Identifier: Apache-2.0
"""Stand-ins for what the world does: slow, counting and lying servers."""
