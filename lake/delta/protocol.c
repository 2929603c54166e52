/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/delta/protocol.h"

#include <strings.h>

#include "base/cleanup.h"

/* The last reader version without a list of features behind it is 2, the one with it is 3. */
#define READER_FEATURES_VERSION 3

enum feature_rule {
    FEATURE_PASSES,
    FEATURE_WIDENS,  /* refused where a column's type was changed */
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
    /* readers: judged by what the version has, not by the name */
    {"columnMapping", FEATURE_PASSES},   /* by the mode, below */
    {"deletionVectors", FEATURE_PASSES}, /* by the live files */
    {"v2Checkpoint", FEATURE_PASSES},    /* by the log */
    {"typeWidening", FEATURE_WIDENS},
    {"typeWidening-preview", FEATURE_WIDENS},
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

static bool has_type_changes(const struct delta_metadata *metadata)
{
    static const char mark[] = "\"delta.typeChanges\"";
    struct slice schema = metadata->schema;
    return schema.n && memmem(schema.p, schema.n, mark, sizeof mark - 1);
}

static int check_feature(struct slice name, const struct delta_metadata *metadata, struct err *err)
{
    const struct feature *feature = feature_find(name);
    if (!feature)
        return err_set(err, EOPNOTSUPP, "the reader feature %.*s is not known",
                       (int)(name.n < 100 ? name.n : 100), name.p);
    switch (feature->rule) {
    case FEATURE_PASSES:
        return 0;
    case FEATURE_WIDENS:
        return has_type_changes(metadata)
                   ? err_set(err, EOPNOTSUPP, "%s is not supported yet", feature->name)
                   : 0;
    case FEATURE_CATALOG:
        break;
    }
    return err_set(err, EOPNOTSUPP, "a table whose commits a catalog manages (%s)", feature->name);
}

static int check_features(const struct delta_protocol *protocol,
                          const struct delta_metadata *metadata, struct err *err)
{
    if (protocol->reader >= READER_FEATURES_VERSION && !protocol->has_reader_features)
        return err_set(err, EIO, "the protocol has reader version 3 and no readerFeatures");
    for (size_t i = 0; i < protocol->reader_features.n; i++) {
        int rc = check_feature(protocol->reader_features.at[i], metadata, err);
        if (rc < 0)
            return rc;
    }
    /* Where a catalog has the last word, a table that says so to writers only is not ours either.
     */
    for (size_t i = 0; i < protocol->writer_features.n; i++) {
        const struct feature *feature = feature_find(protocol->writer_features.at[i]);
        if (feature && feature->rule == FEATURE_CATALOG)
            return check_feature(protocol->writer_features.at[i], metadata, err);
    }
    return 0;
}

static int check_column_mapping(const struct delta_metadata *metadata, struct err *err)
{
    struct slice mode;
    if (!delta_map_find(&metadata->configuration, SLICE_LIT("delta.columnMapping.mode"), &mode) ||
        (mode.n == 4 && strncasecmp(mode.p, "none", 4) == 0))
        return 0;
    return err_set(err, EOPNOTSUPP, "column mapping is not supported yet");
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
    int rc = check_features(protocol, metadata, err);
    return rc < 0 ? rc : check_column_mapping(metadata, err);
}
