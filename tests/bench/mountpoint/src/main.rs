// SPDX-License-Identifier: Apache-2.0
//! Mountpoint for Amazon S3's own file system as a peer in benchmarks, with what its own benchmark
//! takes: live listing, the default prefetcher, parts of 8 MiB, 16 threads. Credentials are those
//! of the environment.
//!
//!     mountpoint BUCKET DIRECTORY ENDPOINT_URL

use mountpoint_s3_client::config::{AddressingStyle, Allocator, EndpointConfig, S3ClientConfig, Uri};
use mountpoint_s3_client::S3CrtClient;
use mountpoint_s3_fs::fuse::config::{FuseOptions, FuseSessionConfig, MountPoint};
use mountpoint_s3_fs::fuse::session::FuseSession;
use mountpoint_s3_fs::fuse::S3FuseFilesystem;
use mountpoint_s3_fs::memory::{CandidateSize, PagedPool};
use mountpoint_s3_fs::prefetch::Prefetcher;
use mountpoint_s3_fs::s3::{Bucket, S3Path};
use mountpoint_s3_fs::{Runtime, S3Filesystem, S3FilesystemConfig, Superblock, SuperblockConfig};

const PART_BYTES: usize = 8 << 20;
const THREADS: usize = 16;

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let [_, bucket, directory, endpoint] = &words[..] else {
        eprintln!("usage: mountpoint BUCKET DIRECTORY ENDPOINT_URL");
        std::process::exit(2);
    };
    let uri = Uri::new_from_str(&Allocator::default(), endpoint).expect("an endpoint");
    let endpoint = EndpointConfig::new("us-east-1")
        .addressing_style(AddressingStyle::Path)
        .endpoint(uri);
    let pool = PagedPool::config()
        .with_candidate_sizes([CandidateSize::new(PART_BYTES)])
        .with_no_memory_limit()
        .build();
    let config = S3ClientConfig::new()
        .endpoint_config(endpoint)
        .read_backpressure(true)
        .read_part_size(PART_BYTES)
        .initial_read_window(PART_BYTES)
        .memory_pool(pool.clone());
    let client = S3CrtClient::new(config).expect("a client");
    let runtime = Runtime::new(client.event_loop_group());
    let settings = S3FilesystemConfig {
        read_only: true,
        ..Default::default()
    };
    let superblock = Superblock::new(
        client.clone(),
        S3Path::new(Bucket::new(bucket).expect("a bucket"), Default::default()),
        SuperblockConfig {
            cache_config: settings.cache_config.clone(),
            s3_personality: settings.s3_personality,
        },
    );
    let prefetcher = Prefetcher::default_builder(client.clone());
    let fs = S3Filesystem::new(client, prefetcher, pool, runtime, superblock, settings);
    let options = FuseOptions {
        read_only: true,
        ..Default::default()
    };
    let mount_point = MountPoint::new(directory).expect("a directory");
    let session = FuseSessionConfig::new(mount_point, options, THREADS).expect("a session");
    let session = FuseSession::new(S3FuseFilesystem::new(fs, None), session).expect("a mount");
    session.join().expect("an unmount");
}
