/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/delta/protocol.h"

#include "base/cleanup.h"
#include "lake/delta/schema.h"

/* The last reader version without a list of features behind it is 2, the one with it is 3. */
#define READER_FEATURES_VERSION 3

enum feature_rule {
    FEATURE_PASSES,
    FEATURE_CATALOG, /* the log alone does not tell which commits count */
};

static const struct feature {
    const char *name;
    enum feature_rule rule;
} features[] = {
    /* readers: nothing to do for the files as they are stored */
    {"timestampNtz", FEATURE_PASSES},
    {"vacuumProtocolCheck", FEATURE_PASSES},
    {"variantType", FEATURE_PASSES},
    {"variantType-preview", FEATURE_PASSES},
    {"variantShredding", FEATURE_PASSES},
    {"variantShredding-preview", FEATURE_PASSES},
    {"geospatial", FEATURE_PASSES},
    /* readers: done by lake/delta and by what presents files */
    {"columnMapping", FEATURE_PASSES},
    {"deletionVectors", FEATURE_PASSES},
    {"v2Checkpoint", FEATURE_PASSES},
    {"typeWidening", FEATURE_PASSES},
    {"typeWidening-preview", FEATURE_PASSES},
    {"catalogManaged", FEATURE_CATALOG},
    {"catalogOwned", FEATURE_CATALOG},
    {"catalogOwned-preview", FEATURE_CATALOG},
    /* writers': some engines list them for readers as well */
    {"appendOnly", FEATURE_PASSES},
    {"invariants", FEATURE_PASSES},
    {"checkConstraints", FEATURE_PASSES},
    {"changeDataFeed", FEATURE_PASSES},
    {"generatedColumns", FEATURE_PASSES},
    {"identityColumns", FEATURE_PASSES},
    {"allowColumnDefaults", FEATURE_PASSES},
    {"domainMetadata", FEATURE_PASSES},
    {"rowTracking", FEATURE_PASSES},
    {"clustering", FEATURE_PASSES},
    {"inCommitTimestamp", FEATURE_PASSES},
    {"icebergCompatV1", FEATURE_PASSES},
    {"icebergCompatV2", FEATURE_PASSES},
};

static const struct feature *feature_find(struct slice name)
{
    for (size_t i = 0; i < ARRAY_SIZE(features); i++)
        if (slice_is(name, features[i].name))
            return &features[i];
    return NULL;
}

static int check_feature(struct slice name, struct err *err)
{
    const struct feature *feature = feature_find(name);
    if (!feature)
        return err_set(err, EOPNOTSUPP, "the reader feature %.*s is not known",
                       (int)(name.n < 100 ? name.n : 100), name.p);
    if (feature->rule == FEATURE_PASSES)
        return 0;
    return err_set(err, EOPNOTSUPP, "a table whose commits a catalog manages (%s)", feature->name);
}

static int check_features(const struct delta_protocol *protocol, struct err *err)
{
    if (protocol->reader >= READER_FEATURES_VERSION && !protocol->has_reader_features)
        return err_set(err, EIO, "the protocol has reader version 3 and no readerFeatures");
    for (size_t i = 0; i < protocol->reader_features.n; i++) {
        int rc = check_feature(protocol->reader_features.at[i], err);
        if (rc < 0)
            return rc;
    }
    /* Where a catalog has the last word, a table that says so to writers only is not ours either.
     */
    for (size_t i = 0; i < protocol->writer_features.n; i++) {
        const struct feature *feature = feature_find(protocol->writer_features.at[i]);
        if (feature && feature->rule == FEATURE_CATALOG)
            return check_feature(protocol->writer_features.at[i], err);
    }
    return 0;
}

int delta_protocol_check(const struct delta_protocol *protocol,
                         const struct delta_metadata *metadata, struct err *err)
{
    if (!protocol)
        return err_set(err, EIO, "no protocol action");
    if (protocol->reader < 1)
        return err_set(err, EIO, "the protocol has minReaderVersion %lld",
                       (long long)protocol->reader);
    if (protocol->reader > READER_FEATURES_VERSION)
        return err_set(err, EOPNOTSUPP, "reader version %lld is not known",
                       (long long)protocol->reader);
    if (!metadata)
        return err_set(err, EIO, "no metaData action");
    if (metadata->provider.n && !slice_is(metadata->provider, "parquet"))
        return err_set(err, EOPNOTSUPP, "the format provider is %.*s, not parquet",
                       (int)(metadata->provider.n < 100 ? metadata->provider.n : 100),
                       metadata->provider.p);
    enum delta_mapping ignored;
    int rc = check_features(protocol, err);
    return rc < 0 ? rc : delta_schema_mapping(metadata, protocol, &ignored, err);
}
