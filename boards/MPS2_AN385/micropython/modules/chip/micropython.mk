# SPDX-License-Identifier: MIT
# The board's clock and flash, and AES and hashes from the source of mbedtls.

SRC_USERMOD_C += $(addprefix $(USERMOD_DIR)/,flash.c ticks.c)
SRC_USERMOD_LIB_C += $(addprefix $(MBEDTLS_DIR)/library/,aes.c md5.c platform_util.c sha1.c sha256.c)
CFLAGS_USERMOD += -I$(MBEDTLS_DIR)/include -I$(MBEDTLS_DIR)/library -I$(USERMOD_DIR)
CFLAGS_USERMOD += -DMBEDTLS_CONFIG_FILE='"picometer_mbedtls.h"'
