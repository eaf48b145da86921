// SPDX-License-Identifier: MIT
// os.urandom of a machine that has no source of randomness: the same octets after every start, so
// that what runs here runs the same each time. Worth nothing as a secret.

static mp_obj_t mp_os_urandom(mp_obj_t n_in) {
    static uint32_t state = 0x20260101; // xorshift, any start but 0
    mp_int_t n = mp_obj_get_int(n_in);
    vstr_t vstr;
    vstr_init_len(&vstr, n);
    for (mp_int_t i = 0; i < n; i++) {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        vstr.buf[i] = state >> 24;
    }
    return mp_obj_new_bytes_from_vstr(&vstr);
}
static MP_DEFINE_CONST_FUN_OBJ_1(mp_os_urandom_obj, mp_os_urandom);
