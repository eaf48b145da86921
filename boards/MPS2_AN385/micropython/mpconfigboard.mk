# SPDX-License-Identifier: MIT
# MicroPython's port `qemu` with what the meter needs: time, select, a UART, AES, hashes, littlefs.
# MBEDTLS_DIR: an unpacked source of mbedtls 3.6.

QEMU_ARCH = arm
QEMU_MACHINE = mps2-an385

PICOMETER_BOARD := $(abspath $(BOARD_DIR))

CFLAGS += -mthumb -mcpu=cortex-m3 -mfloat-abi=soft -DQEMU_SOC_MPS2
CFLAGS += -DMICROPY_HW_MCU_NAME='"Cortex-M3"'
CFLAGS += -DMP_CONFIGFILE='"picometer_config.h"' -I$(PICOMETER_BOARD)

LDSCRIPT = $(PICOMETER_BOARD)/mps2.ld
SRC_BOARD_O = shared/runtime/gchelper_native.o shared/runtime/gchelper_thumb2.o
MPY_CROSS_FLAGS += -march=armv7m

MICROPY_VFS_LFS2 = 1
USER_C_MODULES = $(PICOMETER_BOARD)/modules
