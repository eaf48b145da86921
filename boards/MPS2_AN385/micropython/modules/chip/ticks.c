// SPDX-License-Identifier: MIT
// Time from TIMER0 of the board: 25 MHz, 32 bits, counting down. Under `-icount` it counts
// instructions, so a program takes the same time in every run. Who waits sleeps until TIMER1 or an
// octet for one of the UARTs wakes it; the interrupts stay masked and have no handlers.

#include "py/mphal.h"
#include "py/runtime.h"

#define TICKS_PER_US (25)

typedef struct {
    volatile uint32_t CTRL, VALUE, RELOAD, INTSTATUS;
} timer_registers_t;

#define TIMER0 ((timer_registers_t *)0x40000000)
#define TIMER1 ((timer_registers_t *)0x40001000)
#define TIMER_ENABLE (1)
#define TIMER_INTERRUPT (8)

#define NVIC_ISER ((volatile uint32_t *)0xe000e100)
#define NVIC_ICPR ((volatile uint32_t *)0xe000e280)
// Receive interrupts of UART 0 to 2, and TIMER1.
#define WAKING (1 << 0 | 1 << 2 | 1 << 4 | 1 << 9)

// Right as long as somebody asks at least once in 171 seconds.
static uint64_t ticks(void) {
    static uint64_t sum;
    static uint32_t last;
    if (!TIMER0->CTRL) {
        TIMER0->RELOAD = 0xffffffff;
        TIMER0->VALUE = 0xffffffff;
        TIMER0->CTRL = TIMER_ENABLE;
    }
    uint32_t now = ~TIMER0->VALUE;
    sum += (uint32_t)(now - last);
    last = now;
    return sum;
}

mp_uint_t mp_hal_ticks_us(void) {
    return ticks() / TICKS_PER_US;
}

mp_uint_t mp_hal_ticks_ms(void) {
    return ticks() / (TICKS_PER_US * 1000);
}

mp_uint_t mp_hal_ticks_cpu(void) {
    return ticks();
}

uint64_t mp_hal_time_ns(void) {
    return ticks() * 1000 / TICKS_PER_US;
}

void picometer_sleep(mp_uint_t ms) {
    __asm volatile ("cpsid i");
    *NVIC_ISER = WAKING;
    if (ms > 1000) {
        ms = 1000;
    }
    TIMER1->RELOAD = TIMER1->VALUE = ms * TICKS_PER_US * 1000;
    TIMER1->CTRL = TIMER_ENABLE | TIMER_INTERRUPT;
    if (ms) {
        __asm volatile ("wfi");
    }
    TIMER1->CTRL = 0;
    TIMER1->INTSTATUS = 1;
    // Cleared afterwards: an octet that comes before the next sleep must end it.
    *NVIC_ICPR = WAKING;
}

void mp_hal_delay_us(mp_uint_t us) {
    uint64_t end = ticks() + (uint64_t)us * TICKS_PER_US;
    while (ticks() < end) {
    }
}

void mp_hal_delay_ms(mp_uint_t ms) {
    uint64_t end = ticks() + (uint64_t)ms * TICKS_PER_US * 1000;
    while (ticks() < end) {
        mp_event_wait_ms(1);
    }
}
