/* Files that are whole or absent. */
#ifndef PFX_BASE_FILE_H
#define PFX_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include "src/base/status.h"

/* An output in the making: written under NAME.<jobid>.<restart>.<host>.<pid>.tmp in the same folder. */
typedef struct pfx_out {
    char *path; /* final name */
    char *tmp;  /* the temporary; open it with whatever library writes it */
} pfx_out;

/* Remove stale temporaries, choose the temporary and check that path can be written: EUSAGE if path exists and !force (names --force),
 * IO if the folder is not writable. Creates nothing. The temporary is registered, so that a terminating
 * signal removes it. */
pfx_status pfx_out_begin(pfx_out *o, const char *path, bool force, pfx_err *err) PFX_MUST;
/* The temporaries of path whose writers have died are removed before. What another process still writes stays: it holds
 * a lock on it (pfx_file_hold), or, where the file system has none, its process lives on this host, or it wrote within
 * the hour on another. */
void pfx_file_remove_stale(const char *path);
/* Hold an open temporary as this process's until it is closed. HDF5_USE_FILE_LOCKING=FALSE: do not. */
void pfx_file_hold(int fd);
/* Do both names lead to one file that is there? */
bool pfx_out_is(const char *output, const char *input);
/* Refuse to replace what is being read: USAGE if both names lead to one file, whatever --force says. output
 * NULL or "-": fine. */
pfx_status pfx_out_spare(const char *output, const char *input, pfx_err *err) PFX_MUST;
/* fsync the temporary, rename it, fsync the folder. IO: names path and the reason, and removes the temporary.
 */
pfx_status pfx_out_commit(pfx_out *o, pfx_err *err) PFX_MUST;
/* fsync the temporary and rename it to `name` in the same folder, as a checkpoint; o can begin another temporary and be
 * committed later. IO: names `name` and the reason; the temporary is removed, and what `name` was before stays. */
pfx_status pfx_out_keep_as(pfx_out *o, const char *name, pfx_err *err) PFX_MUST;
/* Remove the temporary if it is there; free. Accepts {0} and a committed one. */
void pfx_out_abort(pfx_out *o);

/* Write the whole text to path through pfx_out; path NULL or "-": to stdout. IO. */
pfx_status pfx_file_write_text(const char *path, const char *text, size_t n, bool force,
                               pfx_err *err) PFX_MUST;
/* Read a whole (small) file, at most max bytes, into a new NUL-terminated string. IO; DATA if larger. */
pfx_status pfx_file_read_text(const char *path, size_t max, char **out, size_t *n, pfx_err *err) PFX_MUST;

/* For tests: make the k-th write-like step (write, fsync, rename) of base and hdf5_io fail with errno e;
 * k = 0 switches off. pfx_fault_write() is what those steps call first: 0, or the errno to fail with. */
void pfx_fault_write_at(pfx_idx k, int e);
int pfx_fault_write(void);

/* Remove registered temporaries and die by the signal, on SIGINT, SIGTERM, SIGHUP, SIGXCPU (commands without
 * checkpoints). Called once by main. */
void pfx_file_install_cleanup(void);
/* The removal alone; a signal handler may call it. */
void pfx_file_remove_temporaries(void);

#endif
