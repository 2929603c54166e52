# SPDX-License-Identifier: Apache-2.0
"""What mount_figures.py measures, one module a subject."""
