// SPDX-License-Identifier: MIT
// machine.UART for the APB UARTs of MPS2: waits in read for what follows at once, else not. UART 0 is the REPL's.
//
// The UART holds one received octet; QEMU keeps the rest back until it is taken. A read that finds
// nothing gives None, as on other ports with timeout 0. Baud rate and format are taken and ignored:
// QEMU moves octets as fast as they are read.

#include "py/mperrno.h"
#include "py/mphal.h"
#include "py/runtime.h"

#define MICROPY_PY_MACHINE_UART_CLASS_CONSTANTS

#define STATE_TX_FULL (1)
#define STATE_RX_FULL (2)
#define CTRL_TX_ENABLE (1)
#define CTRL_RX_ENABLE (2)
#define CTRL_RX_INTERRUPT (8)
#define INT_RX (2)

#define FIRST_UART (1)
#define N_UARTS (2)

// How long a read sleeps for the octet after one that it got. QEMU brings octets one by one and
// only while the processor does not keep asking for them.
#define NEXT_OCTET_MS (1)

typedef struct {
    volatile uint32_t DATA, STATE, CTRL, INTSTATUS, BAUDDIV;
} uart_registers_t;

typedef struct _machine_uart_obj_t {
    mp_obj_base_t base;
    uint8_t id;
    uart_registers_t *registers;
} machine_uart_obj_t;

static machine_uart_obj_t uarts[N_UARTS] = {
    { { &machine_uart_type }, 1, (uart_registers_t *)0x40005000 },
    { { &machine_uart_type }, 2, (uart_registers_t *)0x40006000 },
};

static void mp_machine_uart_print(const mp_print_t *print, mp_obj_t self_in, mp_print_kind_t kind) {
    machine_uart_obj_t *self = MP_OBJ_TO_PTR(self_in);
    mp_printf(print, "UART(%u)", self->id);
}

static void mp_machine_uart_init_helper(machine_uart_obj_t *self, size_t n_args, const mp_obj_t *pos_args, mp_map_t *kw_args) {
    enum { ARG_baudrate, ARG_bits, ARG_parity, ARG_stop, ARG_timeout, ARG_rxbuf };
    static const mp_arg_t allowed[] = {
        { MP_QSTR_baudrate, MP_ARG_INT, {.u_int = 9600} },
        { MP_QSTR_bits, MP_ARG_INT, {.u_int = 8} },
        { MP_QSTR_parity, MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE} },
        { MP_QSTR_stop, MP_ARG_INT, {.u_int = 1} },
        { MP_QSTR_timeout, MP_ARG_KW_ONLY | MP_ARG_INT, {.u_int = 0} },
        { MP_QSTR_rxbuf, MP_ARG_KW_ONLY | MP_ARG_INT, {.u_int = 0} },
    };
    mp_arg_val_t args[MP_ARRAY_SIZE(allowed)];
    mp_arg_parse_all(n_args, pos_args, kw_args, MP_ARRAY_SIZE(allowed), allowed, args);
    if (args[ARG_timeout].u_int != 0) {
        mp_raise_ValueError(MP_ERROR_TEXT("only timeout=0"));
    }
    self->registers->BAUDDIV = 16;
    self->registers->CTRL = CTRL_TX_ENABLE | CTRL_RX_ENABLE | CTRL_RX_INTERRUPT;
}

static mp_obj_t mp_machine_uart_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 1, MP_OBJ_FUN_ARGS_MAX, true);
    mp_int_t id = mp_obj_get_int(args[0]);
    if (id < FIRST_UART || id >= FIRST_UART + N_UARTS) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("UART(%d) doesn't exist"), (int)id);
    }
    machine_uart_obj_t *self = &uarts[id - FIRST_UART];
    mp_map_t kw_args;
    mp_map_init_fixed_table(&kw_args, n_kw, args + n_args);
    mp_machine_uart_init_helper(self, n_args - 1, args + 1, &kw_args);
    return MP_OBJ_FROM_PTR(self);
}

static void mp_machine_uart_deinit(machine_uart_obj_t *self) {
    self->registers->CTRL = 0;
}

static mp_int_t mp_machine_uart_any(machine_uart_obj_t *self) {
    return self->registers->STATE & STATE_RX_FULL ? 1 : 0;
}

static bool mp_machine_uart_txdone(machine_uart_obj_t *self) {
    return !(self->registers->STATE & STATE_TX_FULL);
}

static mp_uint_t mp_machine_uart_read(mp_obj_t self_in, void *buf_in, mp_uint_t size, int *errcode) {
    uart_registers_t *r = ((machine_uart_obj_t *)MP_OBJ_TO_PTR(self_in))->registers;
    uint8_t *buf = buf_in;
    mp_uint_t n = 0;
    while (n < size && r->STATE & STATE_RX_FULL) {
        r->INTSTATUS = INT_RX;
        buf[n++] = r->DATA;
        if (!(r->STATE & STATE_RX_FULL)) {
            picometer_sleep(NEXT_OCTET_MS);
        }
    }
    if (n == 0) {
        *errcode = MP_EAGAIN;
        return MP_STREAM_ERROR;
    }
    return n;
}

static mp_uint_t mp_machine_uart_write(mp_obj_t self_in, const void *buf_in, mp_uint_t size, int *errcode) {
    uart_registers_t *r = ((machine_uart_obj_t *)MP_OBJ_TO_PTR(self_in))->registers;
    const uint8_t *buf = buf_in;
    for (mp_uint_t i = 0; i < size; i++) {
        while (r->STATE & STATE_TX_FULL) {
        }
        r->DATA = buf[i];
    }
    return size;
}

static mp_uint_t mp_machine_uart_ioctl(mp_obj_t self_in, mp_uint_t request, uintptr_t arg, int *errcode) {
    uart_registers_t *r = ((machine_uart_obj_t *)MP_OBJ_TO_PTR(self_in))->registers;
    if (request == MP_STREAM_POLL) {
        mp_uint_t ready = 0;
        if (arg & MP_STREAM_POLL_RD && r->STATE & STATE_RX_FULL) {
            ready |= MP_STREAM_POLL_RD;
        }
        if (arg & MP_STREAM_POLL_WR && !(r->STATE & STATE_TX_FULL)) {
            ready |= MP_STREAM_POLL_WR;
        }
        return ready;
    }
    if (request == MP_STREAM_FLUSH || request == MP_STREAM_CLOSE) {
        return 0;
    }
    *errcode = MP_EINVAL;
    return MP_STREAM_ERROR;
}
