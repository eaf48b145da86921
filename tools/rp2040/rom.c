// SPDX-License-Identifier: MIT
// Stands for the boot ROM of the RP2040 in the emulator, which has none.
//
// As the RP2040 datasheet has it (2.8.2 and 2.8.3): where the tables are, the codes of what they
// name, what those functions do. Erasing and programming flash is done by the emulator, at a
// breakpoint; floats are of libgcc. What the SDK looks for and nobody here calls stops the
// emulator with a breakpoint of its own number.

typedef unsigned int u32;
typedef unsigned short u16;
typedef unsigned char u8;

// Vector table, and what the SDK looks for at 0x10: 'M', 'u', 1, version; the two tables and the
// function that looks a code up in one of them. A code is two characters, an entry four octets.
__asm(
    ".macro ENTRY a, b, to\n"
    ".byte \\a, \\b\n"
    ".hword \\to + 1\n"
    ".endm\n"
    ".macro DATA a, b, to\n"
    ".byte \\a, \\b\n"
    ".hword \\to\n"
    ".endm\n"
    ".section .head, \"a\"\n"
    ".word 0x20042000, rom_reset + 1, rom_stop + 1, rom_stop + 1\n"
    ".byte 'M', 'u', 1, 3\n"
    ".hword rom_functions, rom_data, rom_lookup + 1, 0\n"
    "rom_functions:\n"
    "ENTRY 'P', '3', rom_popcount\n"
    "ENTRY 'R', '3', rom_reverse\n"
    "ENTRY 'L', '3', rom_clz\n"
    "ENTRY 'T', '3', rom_ctz\n"
    "ENTRY 'M', 'S', rom_memset\n"
    "ENTRY 'S', '4', rom_memset\n"
    "ENTRY 'M', 'C', rom_memcpy\n"
    "ENTRY 'C', '4', rom_memcpy\n"
    "ENTRY 'I', 'F', rom_nothing\n"
    "ENTRY 'E', 'X', rom_nothing\n"
    "ENTRY 'R', 'E', rom_erase\n"
    "ENTRY 'R', 'P', rom_program\n"
    "ENTRY 'F', 'C', rom_nothing\n"
    "ENTRY 'C', 'X', rom_nothing\n"
    "ENTRY 'U', 'B', rom_stop\n"
    "ENTRY 'W', 'V', rom_stop\n"
    ".word 0\n"
    "rom_data:\n"
    "DATA 'C', 'R', rom_copyright\n"
    "DATA 'G', 'R', rom_copyright\n"
    "DATA 'S', 'F', rom_floats\n"
    "DATA 'S', 'D', rom_doubles\n"
    ".word 0\n"
    "rom_copyright: .asciz \"none\"\n"
    ".balign 4\n"
    ".text\n");

// The second stage begins where the flash does; the real ROM copies it to RAM first.
__attribute__((naked)) void rom_reset(void) {
    __asm("movs r0, #0\n mov lr, r0\n ldr r0, =0x10000001\n bx r0\n .ltorg");
}

// r0: offset in flash, r1: octets
__attribute__((naked)) void rom_erase(void) {
    __asm("bkpt 0x10\n bx lr");
}

// r0: offset in flash, r1: octets to program, r2: their number
__attribute__((naked)) void rom_program(void) {
    __asm("bkpt 0x11\n bx lr");
}

__attribute__((naked)) void rom_stop(void) {
    __asm("bkpt 0x1f\n bx lr");
}

void rom_nothing(void) {
}

u32 rom_lookup(const u16 *table, u32 code) {
    for (; *table; table += 2) {
        if (*table == code) {
            return table[1];
        }
    }
    return 0;
}

u8 *rom_memcpy(u8 *to, const u8 *from, u32 n) {
    u8 *at = to;
    if (!(((u32)to | (u32)from) & 3)) {
        for (; n >= 4; n -= 4, at += 4, from += 4) {
            *(volatile u32 *)at = *(const u32 *)from;
        }
    }
    while (n--) {
        *(volatile u8 *)at++ = *from++;
    }
    return to;
}

u8 *rom_memset(u8 *to, u8 octet, u32 n) {
    for (u8 *at = to; n--; at++) {
        *(volatile u8 *)at = octet;
    }
    return to;
}

u32 rom_popcount(u32 x) {
    u32 n = 0;
    for (; x; x &= x - 1) {
        n++;
    }
    return n;
}

u32 rom_reverse(u32 x) {
    u32 y = 0;
    for (u32 k = 0; k < 32; k++) {
        y = y << 1 | (x >> k & 1);
    }
    return y;
}

u32 rom_clz(u32 x) {
    u32 n = 32;
    for (; x; x >>= 1) {
        n--;
    }
    return n;
}

u32 rom_ctz(u32 x) {
    return x ? rom_popcount((x & -x) - 1) : 32;
}

extern void __aeabi_fadd(void), __aeabi_fsub(void), __aeabi_fmul(void), __aeabi_fdiv(void),
    __aeabi_f2iz(void), __aeabi_f2uiz(void), __aeabi_i2f(void), __aeabi_ui2f(void),
    __aeabi_f2lz(void), __aeabi_f2ulz(void), __aeabi_l2f(void), __aeabi_ul2f(void),
    __aeabi_f2d(void);
extern void __aeabi_dadd(void), __aeabi_dsub(void), __aeabi_dmul(void), __aeabi_ddiv(void),
    __aeabi_d2iz(void), __aeabi_d2uiz(void), __aeabi_i2d(void), __aeabi_ui2d(void),
    __aeabi_d2lz(void), __aeabi_d2ulz(void), __aeabi_l2d(void), __aeabi_ul2d(void),
    __aeabi_d2f(void);

// Arithmetic and conversions; roots, comparisons, fixed point and trigonometry stop.
#define FUNCTIONS(add, sub, mul, div, to_int, to_uint, from_int, from_uint, from_int64, \
    from_uint64, to_int64, to_uint64, to_other) { \
    add, sub, mul, div, rom_stop, rom_stop, rom_stop, to_int, rom_stop, to_uint, rom_stop, \
    from_int, rom_stop, from_uint, rom_stop, rom_stop, rom_stop, rom_stop, rom_stop, rom_stop, \
    rom_stop, rom_stop, rom_stop, from_int64, rom_stop, from_uint64, rom_stop, to_int64, \
    rom_stop, to_uint64, rom_stop, to_other }

void (*const rom_floats[32])(void) = FUNCTIONS(__aeabi_fadd, __aeabi_fsub, __aeabi_fmul,
    __aeabi_fdiv, __aeabi_f2iz, __aeabi_f2uiz, __aeabi_i2f, __aeabi_ui2f, __aeabi_l2f,
    __aeabi_ul2f, __aeabi_f2lz, __aeabi_f2ulz, __aeabi_f2d);

void (*const rom_doubles[32])(void) = FUNCTIONS(__aeabi_dadd, __aeabi_dsub, __aeabi_dmul,
    __aeabi_ddiv, __aeabi_d2iz, __aeabi_d2uiz, __aeabi_i2d, __aeabi_ui2d, __aeabi_l2d,
    __aeabi_ul2d, __aeabi_d2lz, __aeabi_d2ulz, __aeabi_d2f);
