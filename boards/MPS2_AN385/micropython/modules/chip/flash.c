// SPDX-License-Identifier: MIT
// chip.Flash(first=0, count=all): blocks of a NOR flash of 3 MiB, as a block device of MicroPython, and
// mapped: as a buffer it is read where it is. Erasing sets a block to FF, programming clears bits.
// It lies in the 16 MiB of the board that QEMU can lay over a file (tools/qemu.py): then it keeps
// what it has when the power goes.
//
// chip.cut(n, part): power fails at write n from now on, 0 is the next one, when so many of its octets
// are done: QEMU ends.

#include <stdlib.h>
#include <string.h>

#include "extmod/vfs.h"
#include "py/mperrno.h"
#include "py/runtime.h"

#define BLOCK_LEN (4096)
#define N_BLOCKS (768)
#define CELLS ((uint8_t *)0x21000000)

static mp_int_t writes_left = -1;
static size_t part;

// Of n octets that are to be written, how many are.
static size_t allowed(size_t n) {
    return writes_left == 0 ? MIN(n, part) : n;
}

static void written(void) {
    if (writes_left == 0) {
        exit(0);
    }
    if (writes_left > 0) {
        writes_left--;
    }
}

static mp_obj_t chip_cut(mp_obj_t n_in, mp_obj_t part_in) {
    writes_left = mp_obj_get_int(n_in);
    part = mp_obj_get_int(part_in);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(chip_cut_obj, chip_cut);

typedef struct {
    mp_obj_base_t base;
    mp_int_t first;
    mp_int_t count;
} flash_t;

static mp_obj_t flash_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 0, 2, false);
    mp_int_t first = n_args ? mp_obj_get_int(args[0]) : 0;
    mp_int_t count = n_args > 1 ? mp_obj_get_int(args[1]) : N_BLOCKS - first;
    if (first < 0 || count <= 0 || first + count > N_BLOCKS) {
        mp_raise_ValueError(NULL);
    }
    flash_t *self = mp_obj_malloc(flash_t, type);
    self->first = first;
    self->count = count;
    return MP_OBJ_FROM_PTR(self);
}

// The cells that (block, offset) of n octets names, NULL if there are none such.
static uint8_t *place(size_t n_args, const mp_obj_t *args, size_t n) {
    mp_int_t offset = n_args > 3 ? mp_obj_get_int(args[3]) : 0;
    mp_int_t block = mp_obj_get_int(args[1]);
    flash_t *self = MP_OBJ_TO_PTR(args[0]);
    mp_int_t at = block * BLOCK_LEN + offset;
    if (block < 0 || at < 0 || at + (mp_int_t)n > self->count * BLOCK_LEN) {
        return NULL;
    }
    return CELLS + self->first * BLOCK_LEN + at;
}

// readblocks(block, buf, offset=0)
static mp_obj_t flash_readblocks(size_t n_args, const mp_obj_t *args) {
    mp_buffer_info_t info;
    mp_get_buffer_raise(args[2], &info, MP_BUFFER_WRITE);
    const uint8_t *src = place(n_args, args, info.len);
    if (src == NULL) {
        return MP_OBJ_NEW_SMALL_INT(-MP_EIO);
    }
    memcpy(info.buf, src, info.len);
    return MP_OBJ_NEW_SMALL_INT(0);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(flash_readblocks_obj, 3, 4, flash_readblocks);

// writeblocks(block, buf, offset=0); without an offset the blocks are erased first
static mp_obj_t flash_writeblocks(size_t n_args, const mp_obj_t *args) {
    mp_buffer_info_t info;
    mp_get_buffer_raise(args[2], &info, MP_BUFFER_READ);
    uint8_t *dest = place(n_args, args, info.len);
    if (dest == NULL) {
        return MP_OBJ_NEW_SMALL_INT(-MP_EIO);
    }
    if (n_args == 3) {
        memset(dest, 0xff, info.len);
    }
    size_t n = allowed(info.len);
    for (size_t i = 0; i < n; i++) {
        dest[i] &= ((const uint8_t *)info.buf)[i];
    }
    written();
    return MP_OBJ_NEW_SMALL_INT(0);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(flash_writeblocks_obj, 3, 4, flash_writeblocks);

static mp_obj_t flash_ioctl(mp_obj_t self_in, mp_obj_t op_in, mp_obj_t arg_in) {
    flash_t *self = MP_OBJ_TO_PTR(self_in);
    switch (mp_obj_get_int(op_in)) {
        case MP_BLOCKDEV_IOCTL_INIT:
        case MP_BLOCKDEV_IOCTL_DEINIT:
        case MP_BLOCKDEV_IOCTL_SYNC:
            return MP_OBJ_NEW_SMALL_INT(0);
        case MP_BLOCKDEV_IOCTL_BLOCK_COUNT:
            return MP_OBJ_NEW_SMALL_INT(self->count);
        case MP_BLOCKDEV_IOCTL_BLOCK_SIZE:
            return MP_OBJ_NEW_SMALL_INT(BLOCK_LEN);
        case MP_BLOCKDEV_IOCTL_BLOCK_ERASE: {
            mp_int_t block = mp_obj_get_int(arg_in);
            if (block < 0 || block >= self->count) {
                return MP_OBJ_NEW_SMALL_INT(-MP_EIO);
            }
            memset(CELLS + (self->first + block) * BLOCK_LEN, 0xff, allowed(BLOCK_LEN));
            written();
            return MP_OBJ_NEW_SMALL_INT(0);
        }
        default:
            return mp_const_none;
    }
}
static MP_DEFINE_CONST_FUN_OBJ_3(flash_ioctl_obj, flash_ioctl);

static mp_int_t flash_get_buffer(mp_obj_t self_in, mp_buffer_info_t *info, mp_uint_t flags) {
    if (flags != MP_BUFFER_READ) {
        return 1;
    }
    flash_t *self = MP_OBJ_TO_PTR(self_in);
    info->buf = CELLS + self->first * BLOCK_LEN;
    info->len = self->count * BLOCK_LEN;
    info->typecode = 'B';
    return 0;
}

static const mp_rom_map_elem_t flash_locals_dict_table[] = {
    { MP_ROM_QSTR(MP_QSTR_readblocks), MP_ROM_PTR(&flash_readblocks_obj) },
    { MP_ROM_QSTR(MP_QSTR_writeblocks), MP_ROM_PTR(&flash_writeblocks_obj) },
    { MP_ROM_QSTR(MP_QSTR_ioctl), MP_ROM_PTR(&flash_ioctl_obj) },
};
static MP_DEFINE_CONST_DICT(flash_locals_dict, flash_locals_dict_table);

MP_DEFINE_CONST_OBJ_TYPE(
    flash_type,
    MP_QSTR_Flash,
    MP_TYPE_FLAG_NONE,
    make_new, flash_make_new,
    buffer, flash_get_buffer,
    locals_dict, &flash_locals_dict
    );

static const mp_rom_map_elem_t chip_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_chip) },
    { MP_ROM_QSTR(MP_QSTR_Flash), MP_ROM_PTR(&flash_type) },
    { MP_ROM_QSTR(MP_QSTR_cut), MP_ROM_PTR(&chip_cut_obj) },
};
static MP_DEFINE_CONST_DICT(chip_globals, chip_globals_table);

const mp_obj_module_t chip_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&chip_globals,
};
MP_REGISTER_MODULE(MP_QSTR_chip, chip_module);
