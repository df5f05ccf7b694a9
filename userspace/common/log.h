/* SPDX-License-Identifier: GPL-2.0 */
/* Log lines on stderr; under systemd with the priority that the journal understands. */
#ifndef VMBEAM_LOG_H
#define VMBEAM_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERR = 3, LOG_LEVEL_WARN = 4, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };

/*
 * @who must outlive the process's last log line. With VMBEAM_DEBUG set in the environment, debug lines come, and each line
 * begins with CLOCK_MONOTONIC, as seconds.
 */
void log_init(const char *who);
/* Lines go to @sink from now on, and to stderr only when it returns false. */
void log_to(bool (*sink)(enum log_level level, const char *line));
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_err(...)	log_line(LOG_LEVEL_ERR, __VA_ARGS__)
#define log_warn(...)	log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)	log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)	log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
