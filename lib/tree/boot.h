/*
 * Which boot of the machine this is. Reads one file, allocates nothing.
 */
#ifndef LOPS_TREE_BOOT_H
#define LOPS_TREE_BOOT_H

/* The kernel's boot_id, "" when it can't be read. */
void boot_read_id(char ret_id[40]);

#endif
