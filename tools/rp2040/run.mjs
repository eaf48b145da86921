// SPDX-License-Identifier: MIT
// An RP2040, emulated: tools/rp2040.py starts this and talks to it.
//
//     node run.mjs '{"modules": FOLDER, "rom": FILE, "flash": FILE, "console": FD, "uart": FD,
//                    "live": BOOLEAN, "keep": BOOLEAN}'
//
// modules is where npm has put the emulator; flash what the flash holds, all of it;
// console the descriptor of a connected socket, the serial port over USB; uart that of a socket
// that listens: who connects is at the other end of UART0. live: the chip's time does not run
// ahead of ours; else, while it sleeps, its time passes at once. keep: what the flash holds when the
// chip is reset is written to the file. After a reset this ends.
//
// On stdin and stdout there are orders and answers, a line of JSON each:
//     {"do": "cut", "at": [[k, part], ...], "folder": FOLDER}   power is cut at the k-th write to
//         flash from now on, after part/256 of its octets: FOLDER/k.bin is what the flash holds
//         then. The chip goes on, so that one run gives many cuts.
//     {"do": "flash", "file": FILE}   what the flash holds now
//     {"do": "figures"}
// An answer has all the figures: writes (since the start), cuts (those that were done, as {k: what
// the console had said since the order}), received (octets that have come to UART0), overruns
// (those of them that it lost), ms (of the chip).

import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import readline from 'node:readline';
import { createRequire } from 'node:module';

const options = JSON.parse(process.argv[2]);
const require = createRequire(path.join(options.modules, 'package.json'));
const { RP2040, USBCDC } = require('rp2040js');

const SECTOR = 4096;
const PAGE = 256;
const ERASE_NS = 45e6; // of the Pico's W25Q16JV, typical
const PROGRAM_NS = 0.4e6;
const CYCLE_NS = 8;
const SLICE = 100000; // instructions between two looks at the sockets
const MS = 1e6;
const TORN = 16; // octets that are neither old nor new
const LATE_MS = 50; // what the chip is late by more than that, it does not make up for

// Breakpoints of rom.c.
const ERASE = 0x10;
const PROGRAM = 0x11;
const STOP = 0x1f;

const OUT_ENDPOINT_BUFFER = 64;
const RANDOM_BIT = 0x1c;
const ROSC = 0x40060;
const WATCHDOG = 0x40058;

const stored = fs.readFileSync(options.flash);
const chip = new RP2040();
chip.logger = { debug() {}, info() {}, warn() {}, error() {} };
const rom = new Uint8Array(16384);
rom.set(fs.readFileSync(options.rom));
chip.loadBootrom(new Uint32Array(rom.buffer));
chip.flash.set(stored, 0);

// The ring oscillator's random bit: the same in every run.
let noise = 0x2545f491;
const bit = () => {
    noise ^= noise << 13;
    noise ^= noise >>> 17;
    noise ^= noise << 5;
    return noise & 1;
};
chip.peripherals[ROSC].readUint32 = (offset) => (offset === RANDOM_BIT ? bit() : 0xffffffff);

// --- Flash ----------------------------------------------------------------------------------

const figures = { writes: 0, cuts: {}, received: 0, overruns: 0, ms: 0 };
let plan = new Map(); // number of a write: [name of the cut, part]
let folder = '';
let said = [];

const content = () => chip.flash.subarray(0, stored.length);

function write(at, n, erased) {
    // Octets as they are once the write is done.
    const after = Buffer.alloc(n, 0xff);
    if (!erased) {
        for (let i = 0; i < n; i++) {
            after[i] = chip.flash[at + i] & chip.readUint8(chip.core.registers[1] + i);
        }
    }
    figures.writes++;
    const cut = plan.get(figures.writes);
    if (cut) {
        const torn = Buffer.from(content());
        const done = (n * cut[1]) >> 8;
        after.copy(torn, at, 0, done);
        // Where it stopped some bits have changed, and some have not.
        for (let i = done; i < Math.min(done + TORN, n); i++) {
            const mixed = (91 * i) & 0xff;
            torn[at + i] = (torn[at + i] & mixed) | (after[i] & ~mixed);
        }
        fs.writeFileSync(path.join(folder, cut[0] + '.bin'), torn);
        figures.cuts[cut[0]] = Buffer.concat(said).toString();
    }
    chip.flash.set(after, at);
    // The processor waits for it, with interrupts off, while octets arrive at UART0.
    chip.clock.tick(erased ? (n / SECTOR) * ERASE_NS : (n / PAGE) * PROGRAM_NS);
}

chip.onBreak = (code) => {
    const r = chip.core.registers;
    if (code === ERASE) {
        write(r[0], r[1], true);
    } else if (code === PROGRAM) {
        write(r[0], r[2], false);
    } else {
        const why = code === STOP ? 'a function that the boot ROM stand-in lacks' : 'breakpoint ' + code;
        process.stderr.write(`The chip has stopped: ${why}, called from ${r[14].toString(16)}\n`);
        process.exit(1);
    }
};

chip.peripherals[WATCHDOG].onWatchdogTrigger = () => {
    if (options.keep) {
        fs.writeFileSync(options.flash, content());
    }
    process.exit(0);
};

// --- Serial port over USB -------------------------------------------------------------------

const cdc = new USBCDC(chip.usbCtrl);
const terminal = new net.Socket({ fd: options.console, readable: true, writable: true });
const typed = [];
let wanted = 0; // octets that the chip has room for; 0: it has not asked

// As a host does it: what there is goes when it is there, and an empty packet never.
function feed() {
    if (wanted && typed.length) {
        const n = Math.min(wanted, typed.length, OUT_ENDPOINT_BUFFER);
        wanted = 0;
        chip.usbCtrl.endpointReadDone(cdc.outEndpoint, Uint8Array.from(typed.splice(0, n)));
    }
}
chip.usbCtrl.onEndpointRead = (endpoint, size) => {
    if (endpoint === cdc.outEndpoint) {
        wanted = size;
        feed();
    }
};
cdc.onSerialData = (octets) => {
    said.push(Buffer.from(octets));
    terminal.write(Buffer.from(octets));
};
terminal.on('data', (octets) => typed.push(...octets));
terminal.on('close', () => process.exit(0));
terminal.on('error', () => process.exit(0));

// --- UART0 ----------------------------------------------------------------------------------

const uart = chip.uart[0];
const line = []; // octets on their way to the chip
let moving = false;
let peer = null;

// The emulator would have the transmitter ask for more for ever.
uart.checkInterrupts = function () {
    chip.setInterrupt(this.irq, !!(this.interruptStatus & this.interruptMask));
};
const octetTime = () => (uart.baudDivider ? 1e10 / uart.baudRate : 1e6);
const arrival = chip.clock.createAlarm(() => {
    const octet = line.shift();
    figures.received++;
    if (uart.rxFIFO.full) {
        figures.overruns++;
    } else {
        uart.feedByte(octet);
    }
    moving = line.length > 0;
    if (moving) {
        arrival.schedule(octetTime());
    }
});
uart.onByte = (octet) => {
    if (peer) {
        peer.write(Buffer.of(octet));
    }
};
net.createServer((socket) => {
    if (peer) {
        peer.destroy();
    }
    peer = socket;
    socket.setNoDelay(true);
    socket.on('data', (octets) => {
        line.push(...octets);
        if (!moving) {
            moving = true;
            arrival.schedule(octetTime());
        }
    });
    socket.on('error', () => {});
    socket.on('close', () => {
        if (peer === socket) {
            peer = null;
        }
    });
}).listen({ fd: options.uart });

// --- Orders ---------------------------------------------------------------------------------

const orders = readline.createInterface({ input: process.stdin });
orders.on('line', (text) => {
    const order = JSON.parse(text);
    if (order.do === 'cut') {
        folder = order.folder;
        plan = new Map(order.at.map(([k, part]) => [figures.writes + k, [k, part]]));
        figures.cuts = {};
        said = [];
    } else if (order.do === 'flash') {
        fs.writeFileSync(order.file, content());
    }
    figures.ms = Math.round(chip.clock.nanos / MS);
    process.stdout.write(JSON.stringify(figures) + '\n');
});
orders.on('close', () => process.exit(0));

// --- Time -----------------------------------------------------------------------------------

let origin = performance.now(); // our time when the chip's was 0

function run() {
    const { core, clock } = chip;
    feed();
    for (let n = 0; n < SLICE; n++) {
        if (core.waiting) {
            if (!clock.nextAlarm) {
                break;
            }
            const ns = clock.nanosToNextAlarm;
            const left = options.live ? (performance.now() - origin) * MS - clock.nanos : ns;
            if (left < ns) {
                clock.tick(Math.max(left, 0));
                break;
            }
            clock.tick(ns);
            n += 100;
        } else {
            clock.tick(core.executeInstruction() * CYCLE_NS);
        }
    }
    let ahead = 0;
    if (options.live) {
        const now = performance.now();
        const due = clock.nanos + (core.waiting ? clock.nanosToNextAlarm : 0);
        ahead = due / MS - (now - origin);
        if (ahead < -LATE_MS) {
            origin -= ahead + LATE_MS;
        }
    }
    if (ahead > 1) {
        // Sockets may bring something earlier.
        setTimeout(run, Math.min(ahead, 2));
    } else {
        setImmediate(run);
    }
}
run();
