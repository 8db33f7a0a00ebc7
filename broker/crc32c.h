/*
 * CRC-32C (Castagnoli, reflected 0x82f63b78) of a record, by table; the sum that a journal row
 * carries.
 */
#ifndef LOPS_BROKER_CRC32C_H
#define LOPS_BROKER_CRC32C_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(const void *data, size_t len);

#endif
