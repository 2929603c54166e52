# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests share: places, mounts, lakes, an S3 server, memory groups."""
