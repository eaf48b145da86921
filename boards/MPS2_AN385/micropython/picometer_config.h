// SPDX-License-Identifier: MIT
// The port's own configuration, and what it leaves out.

#include "mpconfigport.h"

#undef MICROPY_PY_TIME
#define MICROPY_PY_TIME (1)
#undef MICROPY_PY_SELECT
#define MICROPY_PY_SELECT (1)
#undef MICROPY_PY_ASYNCIO
#define MICROPY_PY_ASYNCIO (1)
// Nobody asks a module for its file: 8 octets of heap each.
#define MICROPY_PY___FILE__ (0)
#undef MICROPY_PY_SYS_STDIO_BUFFER
#define MICROPY_PY_SYS_STDIO_BUFFER (1)

#define MICROPY_PY_MACHINE_UART (1)
#define MICROPY_PY_MACHINE_UART_INCLUDEFILE "uart.inc.c"

// AES and the hashes come from mbedtls; there is no TLS.
#define MICROPY_SSL_MBEDTLS (1)
#define MICROPY_PY_CRYPTOLIB (1)
#define MICROPY_PY_HASHLIB_SHA1 (1)
#define MICROPY_PY_HASHLIB_MD5 (1)

#define MICROPY_PY_OS_URANDOM (1)
#define MICROPY_PY_OS_INCLUDEFILE "urandom.inc.c"

// While nothing happens the processor sleeps.
void picometer_sleep(unsigned long ms);
#define MICROPY_INTERNAL_WFE(TIMEOUT_MS) picometer_sleep((unsigned long)(TIMEOUT_MS))
