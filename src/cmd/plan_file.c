/* A plan to YAML and back. Every complaint names the file and the line. */
#include "src/cmd/plan.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "src/base/mem.h"

static const double MIB = 1048576.0;

/* ---- writing ---- */

/* In double quotes, as YAML escapes them. */
static void quote(pfx_str *out, const char *s)
{
    pfx_str_add(out, "\"");
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            pfx_str_addf(out, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            pfx_str_addf(out, "\\x%02x", c);
        else
            pfx_str_addn(out, s, 1);
    }
    pfx_str_add(out, "\"");
}

static void add_text(pfx_str *out, const char *key, const char *value)
{
    pfx_str_addf(out, "%s: ", key);
    quote(out, value);
    pfx_str_add(out, "\n");
}

void pfx_plan_write(const pfx_plan *p, pfx_str *out)
{
    pfx_str_add(out, "# Run it with: panelfx run-plan THIS.yaml --jobs N, or --shard K for one shard.\n");
    add_text(out, "version", p->version);
    add_text(out, "command", p->command);
    pfx_str_add(out, "arguments:\n");
    for (int i = 0; i < p->n_args; i++) {
        pfx_str_add(out, "  - ");
        quote(out, p->args[i]);
        pfx_str_add(out, "\n");
    }
    pfx_str_addf(out, "seed: %lld\nreps: %lld\ndraws: %lld\n", (long long)p->seed, (long long)p->reps,
                 (long long)p->draws);
    add_text(out, "isa", p->isa);
    add_text(out, "spec_digest", p->spec_digest);
    add_text(out, "panel_digest", p->panel_digest);
    add_text(out, "output", p->output);
    add_text(out, "merged", p->merged);
    pfx_str_add(out, "stats: ");
    quote(out, p->stats ? p->stats : "");
    if (p->no_stats)
        pfx_str_addf(out, " # shards read the panel: %s\n", p->no_stats);
    else
        pfx_str_add(out, " # beside this file; what shards read instead of the panel\n");
    pfx_str_addf(out, "threads: %d # that the seconds below are of\n", p->threads);
    pfx_str_add(out, "shards: # replicates first to last, counted from 1\n");
    for (pfx_idx k = 1; k <= p->n_shards; k++) {
        pfx_idx a = pfx_shard_bound(k - 1, p->draws, p->n_shards),
                b = pfx_shard_bound(k, p->draws, p->n_shards);
        pfx_str_addf(out, "  - {shard: %lld, first: %lld, last: %lld, seconds: %.2f, memory_mib: %.1f}\n",
                     (long long)k, (long long)a + 1, (long long)b, p->start_s + p->draw_s * (double)(b - a),
                     p->bytes / MIB);
    }
}

/* ---- reading ---- */

typedef struct reader {
    const char *name;
    yaml_document_t *doc;
    pfx_err *err;
} reader;

static pfx_status fail(const reader *rd, const yaml_node_t *n, const char *text)
{
    return pfx_fail(rd->err, PFX_EUSAGE, "%s:%d: %s", rd->name, (int)n->start_mark.line + 1, text);
}

static pfx_status fail_key(const reader *rd, const yaml_node_t *n, const char *key, const char *text)
{
    char message[200];
    snprintf(message, sizeof message, "%.60s: %s", key, text);
    return fail(rd, n, message);
}

static const char *scalar(const yaml_node_t *n)
{
    return n && n->type == YAML_SCALAR_NODE ? (const char *)n->data.scalar.value : NULL;
}

/* Values of the keys of a mapping, all of which must be there. */
static pfx_status read_keys(const reader *rd, const yaml_node_t *map, int n, const char *const *keys,
                            const yaml_node_t **value)
{
    if (map->type != YAML_MAPPING_NODE) return fail(rd, map, "a mapping is expected here, as key: value");
    for (int i = 0; i < n; i++) value[i] = NULL;
    for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++) {
        const yaml_node_t *key = yaml_document_get_node(rd->doc, p->key);
        const char *text = scalar(key);
        int i = 0;
        while (text && i < n && strcmp(keys[i], text) != 0) i++;
        if (!text || i == n) return fail_key(rd, key, text ? text : "?", "a plan has no such key");
        if (value[i]) return fail_key(rd, key, text, "the key stands twice");
        value[i] = yaml_document_get_node(rd->doc, p->value);
    }
    for (int i = 0; i < n; i++)
        if (!value[i]) return fail_key(rd, map, keys[i], "the key is missing");
    return PFX_OK;
}

static pfx_status read_text(const reader *rd, const yaml_node_t *n, const char *key, char **out)
{
    const char *s = scalar(n);
    if (!s || strlen(s) != n->data.scalar.length) return fail_key(rd, n, key, "a text is expected here");
    *out = pfx_mem_strdup(s, rd->err);
    return *out ? PFX_OK : PFX_ENOMEM;
}

static pfx_status read_count(const reader *rd, const yaml_node_t *n, const char *key, pfx_idx least,
                             pfx_idx *out)
{
    const char *s = scalar(n);
    if (s && pfx_text_idx(s, strlen(s), out) && *out >= least) return PFX_OK;
    return fail_key(rd, n, key,
                    least ? "a whole number above 0 is expected here" : "a whole number is expected here");
}

static pfx_status read_digest(const reader *rd, const yaml_node_t *n, const char *key, char *out)
{
    const char *s = scalar(n);
    if (!s || strlen(s) != PFX_SHA256_HEX - 1 || strspn(s, "0123456789abcdef") != PFX_SHA256_HEX - 1)
        return fail_key(rd, n, key, "a SHA-256 in hexadecimal digits is expected here");
    memcpy(out, s, PFX_SHA256_HEX);
    return PFX_OK;
}

static pfx_status read_args(const reader *rd, const yaml_node_t *n, pfx_plan *p)
{
    if (n->type != YAML_SEQUENCE_NODE) return fail(rd, n, "arguments: a list is expected here");
    pfx_idx count = n->data.sequence.items.top - n->data.sequence.items.start;
    if (!(p->args = pfx_mem_calloc(count + 1, sizeof *p->args, rd->err))) return PFX_ENOMEM;
    for (yaml_node_item_t *i = n->data.sequence.items.start; i < n->data.sequence.items.top; i++) {
        pfx_status st = read_text(rd, yaml_document_get_node(rd->doc, *i), "arguments", &p->args[p->n_args]);
        if (st != PFX_OK) return st;
        p->n_args++;
    }
    return PFX_OK;
}

/* The bounds follow from draws and the number of shards: a list that says otherwise is a plan changed by
 * hand. */
static pfx_status read_shards(const reader *rd, const yaml_node_t *n, pfx_plan *p)
{
    static const char *const keys[] = {"shard", "first", "last", "seconds", "memory_mib"};
    const yaml_node_t *value[5] = {0};
    if (n->type != YAML_SEQUENCE_NODE) return fail(rd, n, "shards: a list is expected here");
    p->n_shards = n->data.sequence.items.top - n->data.sequence.items.start;
    if (p->n_shards < 1 || p->n_shards > PLAN_MAX_SHARDS) return fail(rd, n, "shards: want 1 to 100000");
    for (pfx_idx k = 1; k <= p->n_shards; k++) {
        const yaml_node_t *item = yaml_document_get_node(rd->doc, n->data.sequence.items.start[k - 1]);
        pfx_idx is[3] = {0}, want[] = {k, pfx_shard_bound(k - 1, p->draws, p->n_shards) + 1,
                                       pfx_shard_bound(k, p->draws, p->n_shards)};
        pfx_status st = read_keys(rd, item, 5, keys, value);
        for (int i = 0; i < 3 && st == PFX_OK; i++) {
            st = read_count(rd, value[i], keys[i], 0, &is[i]);
            if (st == PFX_OK && is[i] != want[i])
                st = pfx_fail(rd->err, PFX_EUSAGE,
                              "%s:%d: shard %lld of %lld of %lld draws has %s %lld, not %lld; make the plan "
                              "anew instead of changing it",
                              rd->name, (int)value[i]->start_mark.line + 1, (long long)k,
                              (long long)p->n_shards, (long long)p->draws, keys[i], (long long)want[i],
                              (long long)is[i]);
        }
        if (st != PFX_OK) return st;
    }
    return PFX_OK;
}

static pfx_status read_document(const reader *rd, pfx_plan *p)
{
    enum {
        VERSION,
        COMMAND,
        ARGS,
        SEED,
        REPS,
        DRAWS,
        ISA,
        SPEC,
        PANEL,
        OUTPUT,
        MERGED,
        STATS,
        THREADS,
        SHARDS,
        N
    };
    static const char *const keys[] = {"version", "command", "arguments",   "seed",         "reps",
                                       "draws",   "isa",     "spec_digest", "panel_digest", "output",
                                       "merged",  "stats",   "threads",     "shards"};
    const yaml_node_t *v[N] = {0}, *root = yaml_document_get_root_node(rd->doc);
    if (!root) return pfx_fail(rd->err, PFX_EUSAGE, "%s:1: the plan is empty", rd->name);
    pfx_status st = read_keys(rd, root, N, keys, v);
    if (st == PFX_OK) st = read_text(rd, v[VERSION], keys[VERSION], &p->version);
    if (st == PFX_OK) st = read_text(rd, v[COMMAND], keys[COMMAND], &p->command);
    if (st == PFX_OK && strcmp(p->command, "boot") != 0 && strcmp(p->command, "placebo") != 0)
        st = fail(rd, v[COMMAND], "command: boot or placebo is expected here");
    if (st == PFX_OK) st = read_args(rd, v[ARGS], p);
    if (st == PFX_OK) st = read_count(rd, v[SEED], keys[SEED], 0, &p->seed);
    if (st == PFX_OK) st = read_count(rd, v[REPS], keys[REPS], 1, &p->reps);
    if (st == PFX_OK) st = read_count(rd, v[DRAWS], keys[DRAWS], 1, &p->draws);
    if (st == PFX_OK) st = read_text(rd, v[ISA], keys[ISA], &p->isa);
    if (st == PFX_OK) st = read_digest(rd, v[SPEC], keys[SPEC], p->spec_digest);
    if (st == PFX_OK) st = read_digest(rd, v[PANEL], keys[PANEL], p->panel_digest);
    if (st == PFX_OK) st = read_text(rd, v[OUTPUT], keys[OUTPUT], &p->output);
    if (st == PFX_OK && !strstr(p->output, "%k"))
        st = fail(rd, v[OUTPUT], "output: %k is expected in the name, for the shard's number");
    if (st == PFX_OK) st = read_text(rd, v[MERGED], keys[MERGED], &p->merged);
    if (st == PFX_OK) st = read_text(rd, v[STATS], keys[STATS], &p->stats);
    if (st == PFX_OK && strchr(p->stats, '/'))
        st = fail(rd, v[STATS], "stats: a file beside the plan is expected here, without a folder");
    return st == PFX_OK ? read_shards(rd, v[SHARDS], p) : st;
}

pfx_status pfx_plan_parse(const char *name, const char *text, size_t n, pfx_plan *out, pfx_err *err)
{
    yaml_parser_t parser;
    yaml_document_t doc;
    pfx_status st;
    *out = (pfx_plan){0};
    if (!yaml_parser_initialize(&parser)) return pfx_fail(err, PFX_ENOMEM, "out of memory for YAML");
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, n);
    if (!yaml_parser_load(&parser, &doc))
        st = pfx_fail(err, PFX_EUSAGE, "%s:%d: not YAML: %s", name, (int)parser.problem_mark.line + 1,
                      parser.problem ? parser.problem : "out of memory");
    else {
        const reader rd = {name, &doc, err};
        st = read_document(&rd, out);
        yaml_document_delete(&doc);
    }
    yaml_parser_delete(&parser);
    return st;
}

void pfx_plan_free(pfx_plan *p)
{
    for (int i = 0; i < p->n_args; i++) pfx_mem_free(p->args[i]);
    pfx_mem_free(p->args);
    pfx_mem_free(p->version);
    pfx_mem_free(p->command);
    pfx_mem_free(p->isa);
    pfx_mem_free(p->output);
    pfx_mem_free(p->merged);
    pfx_mem_free(p->stats);
    pfx_mem_free(p->no_stats);
    *p = (pfx_plan){0};
}
