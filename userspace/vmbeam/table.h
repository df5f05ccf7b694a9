/* SPDX-License-Identifier: GPL-2.0 */
/* Columns of text on a terminal, or in a file: names have any UTF-8 characters, of which some are two columns wide. */
#ifndef VMBEAM_TABLE_H
#define VMBEAM_TABLE_H

#include <stddef.h>
#include <stdio.h>

/* How many columns clean text takes. */
size_t table_width(const char *text);
/* How many bytes of @text fit into @width columns: whole characters, with what combines with them. */
size_t table_fit(const char *text, size_t width);
/* Prints it in exactly @width columns: what does not fit ends in "...". @right: to the right. */
void table_cell(FILE *f, const char *text, size_t width, int right);

#define TABLE_COLUMNS 12

struct table {
	size_t columns, rows;
	const char *headings[TABLE_COLUMNS];	/* one that begins with '>' is of a column to the right */
	char **cells;
};

void table_init(struct table *t, const char *const *headings, size_t columns);
/* The next cell, row by row; text that others wrote is escaped. */
void table_add(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/*
 * Prints it, and clears it. Columns that are empty in all rows are left out. @width: of the terminal, 0: as wide as it
 * gets; the widest column gets narrower until it fits.
 */
void table_print(struct table *t, FILE *f, size_t width);
void table_clear(struct table *t);

/* The width of the terminal on @f; 0: it is none. */
size_t table_terminal(FILE *f);
/* Its height; 24 if that is not known. */
size_t table_height(FILE *f);

#endif
