/* Constants of the elementary functions: made by tools/minimax.py, which says how.  The lowest
 * power comes first; the bits are the largest relative error, of the function that the
 * polynomial serves, that the rounded coefficients leave. */
#ifndef MT_POLYNOMIALS_H
#define MT_POLYNOMIALS_H
#define MT_LN2_0 0x1.62e42ff000000p-1
#define MT_LN2_1 -0x1.718432a1b0e26p-35
#define MT_LN2F_0 0x1.62e4000000000p-1f
#define MT_LN2F_1 0x1.7f7d1c0000000p-20f
#define MT_INV_LN2_0 0x1.7154700000000p+0
#define MT_INV_LN2_1 0x1.94ae0bf85ddf4p-22
#define MT_INV_LN10_0 0x1.bcb7b00000000p-2
#define MT_INV_LN10_1 0x1.526e50e32a6abp-26
#define MT_LOG10_2_0 0x1.3441350a00000p-2
#define MT_LOG10_2_1 -0x1.0c0219dc1da99p-39
#define MT_LOG10_2F_0 0x1.3440000000000p-2f
#define MT_LOG10_2F_1 0x1.3509f80000000p-18f
#define MT_INV_LN2F_0 0x1.7160000000000p+0f
#define MT_INV_LN2F_1 -0x1.7135a80000000p-13f
#define MT_INV_LN10F_0 0x1.bcc0000000000p-2f
#define MT_INV_LN10F_1 -0x1.09d5b20000000p-15f
#define MT_PIO2_0 0x1.921fb54400000p+0
#define MT_PIO2_1 0x1.0b4611a600000p-34
#define MT_PIO2_2 0x1.3198a2e000000p-69
#define MT_PIO2_3 0x1.b839a252049c1p-104
#define MT_PI_0 0x1.921fb54442d18p+1
#define MT_PI_1 0x1.1a62633145c07p-53
#define MT_LOG2E 0x1.71547652b82fep+0
#define MT_TWO_OVER_PI 0x1.45f306dc9c883p-1
#define MT_LN2_FULL 0x1.62e42fefa39efp-1
/* (exp(x) - 1 - x) / x², |x| <= ln(2)/2: 2^-27.8 */
#define MT_POLY_EXP_F                                                                              \
    0x1.fffffc0000000p-2f, 0x1.5554900000000p-3f, 0x1.5558f40000000p-5f, 0x1.123a680000000p-7f,    \
        0x1.6a238a0000000p-10f
/* (2^x - 1) / x, |x| <= 1/2: 2^-28.7 */
#define MT_POLY_EXP2_F                                                                             \
    0x1.62e4300000000p-1f, 0x1.ebfbe00000000p-3f, 0x1.c6b08a0000000p-5f, 0x1.3b29f40000000p-7f,    \
        0x1.5d8a860000000p-10f, 0x1.445c840000000p-13f, 0x1.fde5ee0000000p-17f
/* (log(1+x) - x + x²/2) / x³, 1+x from √½ to √2: 2^-26.9 */
#define MT_POLY_LOG_F                                                                              \
    0x1.5555540000000p-2f, -0x1.0002280000000p-2f, 0x1.99a00a0000000p-3f, -0x1.5472460000000p-3f,  \
        0x1.22d9f80000000p-3f, -0x1.0d85180000000p-3f, 0x1.055c400000000p-3f,                      \
        -0x1.38b8520000000p-4f
/* (log2(1+x) - x / log(2)) / x², 1+x from √½ to √2: 2^-26.5 */
#define MT_POLY_LOG2_F                                                                             \
    -0x1.7154700000000p-1f, 0x1.ec70960000000p-2f, -0x1.715a720000000p-2f, 0x1.277e3c0000000p-2f,  \
        -0x1.eabd100000000p-3f, 0x1.a305940000000p-3f, -0x1.8748440000000p-3f,                     \
        0x1.7d479e0000000p-3f, -0x1.c264ea0000000p-4f
/* (log10(1+x) - x / log(10)) / x², 1+x from √½ to √2: 2^-26.7 */
#define MT_POLY_LOG10_F                                                                            \
    -0x1.bcb7aa0000000p-3f, 0x1.287a720000000p-3f, -0x1.bcbee60000000p-4f, 0x1.63cf240000000p-4f,  \
        -0x1.27743c0000000p-4f, 0x1.f88d700000000p-5f, -0x1.d7269e0000000p-5f,                     \
        0x1.cb1b480000000p-5f, -0x1.0f2a100000000p-5f
/* (sin(x)/x - 1) / x² in x², |x| <= π/4 + 0.1: 2^-26.5 */
#define MT_POLY_SIN_F -0x1.5555340000000p-3f, 0x1.1101280000000p-7f, -0x1.976abc0000000p-13f
/* (cos(x) - 1 + x²/2) / x⁴ in x², |x| <= π/4 + 0.1: 2^-30.5 */
#define MT_POLY_COS_F 0x1.55553e0000000p-5f, -0x1.6c05940000000p-10f, 0x1.9839a40000000p-16f
/* erf(x)/x - 1 in x², |x| <= 1: 2^-27.6 */
#define MT_POLY_ERF_F                                                                              \
    0x1.06eba80000000p-3f, -0x1.81273e0000000p-2f, 0x1.ce2cf80000000p-4f, -0x1.b7f90a0000000p-6f,  \
        0x1.5405a20000000p-8f, -0x1.a3f6920000000p-11f, 0x1.49691e0000000p-14f
/* log(erfc(x)), x from 1 to 4: 2^-27.7 */
#define MT_POLY_ERFC_F                                                                             \
    -0x1.662d820000000p-12f, -0x1.2088e60000000p+0f, -0x1.46bafa0000000p-1f,                       \
        -0x1.a652e20000000p-4f, 0x1.65cabe0000000p-6f, -0x1.8259840000000p-9f,                     \
        0x1.86db1c0000000p-13f
/* (exp(x) - 1 - x) / x², |x| <= ln(2)/2: 2^-32.0 */
#define MT_POLY_EXP_FD                                                                             \
    0x1.0000002622569p-1, 0x1.555554ef21f49p-3, 0x1.5554b09cc36ccp-5, 0x1.1111899e77444p-7,        \
        0x1.6d72925307302p-10, 0x1.a0331928a4404p-13
/* (log((1+s)/(1-s)) / s - 2) / s² in s²: 2^-37.6 */
#define MT_POLY_LOG_FD                                                                             \
    0x1.555554fde4969p-1, 0x1.999a7a16c9985p-2, 0x1.2438f23d987d3p-2, 0x1.e2f2b383b8d5cp-3
/* (sin(x)/x - 1) / x² in x², |x| <= π/4: 2^-37.5 */
#define MT_POLY_SIN_FD                                                                             \
    -0x1.5555554c60289p-3, 0x1.1111085d6c11cp-7, -0x1.a00f74a609a88p-13, 0x1.6ccf6d52ccc84p-19
/* (cos(x) - 1 + x²/2) / x⁴ in x², |x| <= π/4: 2^-42.9 */
#define MT_POLY_COS_FD                                                                             \
    0x1.5555554ecc3bep-5, -0x1.6c16b81bed06fp-10, 0x1.a010d58a6b987p-16, -0x1.241cb40a8c73cp-22
/* (asin(x)/x - 1) / x² in x², |x| <= 1/2: 2^-35.8 */
#define MT_POLY_ASIN_FD                                                                            \
    0x1.55555605c2b44p-3, 0x1.3332aa0ac4764p-4, 0x1.6ddabf28411d2p-5, 0x1.ed5d2758b9848p-6,        \
        0x1.931f460b1b794p-6, 0x1.ec27ffac2b174p-8, 0x1.1bd21a634f2fap-5
/* (atan(x)/x - 1) / x² in x², |x| <= 1: 2^-33.9 */
#define MT_POLY_ATAN_FD                                                                            \
    -0x1.5555548748e0ap-2, 0x1.999937f4faac0p-3, -0x1.248a2cce71131p-3, 0x1.c66e4e2d0cefdp-4,      \
        -0x1.700b29147292cp-4, 0x1.2958b6c71f13cp-4, -0x1.be982c1d8ea15p-5, 0x1.1a6cfda9cb827p-5,  \
        -0x1.0b0c900762428p-6, 0x1.42da00251b580p-8, -0x1.6ded5bc832f2cp-11
/* (tanh(x)/x - 1) / x² in x², |x| <= 0.55: 2^-27.7 */
#define MT_POLY_TANH_F                                                                             \
    -0x1.5555540000000p-2f, 0x1.1110dc0000000p-3f, -0x1.ba09960000000p-5f, 0x1.64e3c80000000p-6f,  \
        -0x1.13b5540000000p-7f, 0x1.3a06280000000p-9f
/* (sinh(x)/x - 1) / x² in x², |x| <= 1: 2^-34.2 */
#define MT_POLY_SINH_FD                                                                            \
    0x1.5555551b399cfp-3, 0x1.111134fbfc784p-7, 0x1.9ffe92456152ap-13, 0x1.7a15b95e1b6b8p-19
/* (exp(x) - 1 - x) / x², |x| <= ln(2)/2: 2^-59.7 */
#define MT_POLY_EXP                                                                                \
    0x1.0000000000000p-1, 0x1.5555555555559p-3, 0x1.555555555553ep-5, 0x1.111111110f6abp-7,        \
        0x1.6c16c16c1f15cp-10, 0x1.a01a01afe92c1p-13, 0x1.a01a017b97335p-16,                       \
        0x1.71ddf8435aa01p-19, 0x1.27e5365ef1209p-22, 0x1.af5ee5b8cb37bp-26, 0x1.1ee8872ebc923p-29
/* (log((1+s)/(1-s)) / s - 2) / s² in s²: 2^-59.3 */
#define MT_POLY_LOG                                                                                \
    0x1.5555555555592p-1, 0x1.999999997feebp-2, 0x1.24924941e0bb4p-2, 0x1.c71c521648704p-3,        \
        0x1.74663c55d7545p-3, 0x1.39a1fb4016755p-3, 0x1.2f02ea6b46dcbp-3
/* (sin(x)/x - 1) / x² in x², |x| <= π/4: 2^-56.7 */
#define MT_POLY_SIN                                                                                \
    -0x1.5555555555548p-3, 0x1.111111110f791p-7, -0x1.a01a019bf5acap-13, 0x1.71de3560687a0p-19,    \
        -0x1.ae5e54932c287p-26, 0x1.5d8e07e2d3169p-33
/* (cos(x) - 1 + x²/2) / x⁴ in x², |x| <= π/4: 2^-59.2 */
#define MT_POLY_COS                                                                                \
    0x1.555555555554bp-5, -0x1.6c16c16c14f49p-10, 0x1.a01a019c7d12cp-16, -0x1.27e4f7e567246p-22,   \
        0x1.1ee9d3f81e88ep-29, -0x1.8fa29f1a583aep-37
/* (asin(x)/x - 1) / x² in x², |x| <= 1/2: 2^-58.8 */
#define MT_POLY_ASIN                                                                               \
    0x1.5555555555577p-3, 0x1.333333332e103p-4, 0x1.6db6db721412bp-5, 0x1.f1c71a946e2fap-6,        \
        0x1.6e8bdeecd6434p-6, 0x1.1c49ef94f8477p-6, 0x1.ca1f9e4c44745p-7, 0x1.75850bb687461p-7,    \
        0x1.613f179f0c481p-7, 0x1.e5d1cbd888482p-9, 0x1.63a69db8b2212p-6, -0x1.580b058e1966bp-6,   \
        0x1.0b4abd1c08af5p-5
/* (atan(x)/x - 1) / x² in x², |x| <= 1: 2^-54.5 */
#define MT_POLY_ATAN                                                                               \
    -0x1.5555555555554p-2, 0x1.99999999996f8p-3, -0x1.24924924858b6p-3, 0x1.c71c71c326b8bp-4,      \
        -0x1.745d16e6528d6p-4, 0x1.3b13ab3b78bd1p-4, -0x1.1110ccaaac3d9p-4, 0x1.e1dd5f72e839ap-5,  \
        -0x1.af0b5eaf20771p-5, 0x1.858621af34df1p-5, -0x1.61e2b278d08f9p-5, 0x1.4047c6c7f0169p-5,  \
        -0x1.1bdba316be553p-5, 0x1.dfa5213e77456p-6, -0x1.750761c8b2ef8p-6, 0x1.00c622c0312f6p-6,  \
        -0x1.2c4b809e2b697p-7, 0x1.1d903f1d275edp-8, -0x1.a364a3569f57ap-10,                       \
        0x1.bad0e109393b6p-12, -0x1.298bb1bb16a47p-14, 0x1.7cddca88fd4bap-18
/* (tanh(x)/x - 1) / x² in x², |x| <= 0.55: 2^-59.8 */
#define MT_POLY_TANH                                                                               \
    -0x1.555555555554fp-2, 0x1.111111111079ep-3, -0x1.ba1ba1b97d870p-5, 0x1.664f48597044ap-6,      \
        -0x1.226e2f14702cap-7, 0x1.d6d29b95660c5p-9, -0x1.7d8fd39c123f9p-10,                       \
        0x1.3483ae0d179f6p-11, -0x1.e96fc0fba8da4p-13, 0x1.5d744cb80ec29p-14,                      \
        -0x1.4710ea0f0ce53p-16
/* (sinh(x)/x - 1) / x² in x², |x| <= 1: 2^-56.8 */
#define MT_POLY_SINH                                                                               \
    0x1.5555555555555p-3, 0x1.1111111111111p-7, 0x1.a01a01a019fc1p-13, 0x1.71de3a5573f79p-19,      \
        0x1.ae6456741b973p-26, 0x1.61246afa2813cp-33, 0x1.ae756e9d0c8b7p-41, 0x1.9a793fdc5c450p-49
/* erf(x)/x - 1 in x², |x| <= 1: 2^-56.3 */
#define MT_POLY_ERF                                                                                \
    0x1.06eba8214db69p-3, -0x1.812746b0379e7p-2, 0x1.ce2f21a042be2p-4, -0x1.b82ce31288b47p-6,      \
        0x1.565bcd0e6a2c6p-8, -0x1.c02db4003550fp-11, 0x1.f9a326f792867p-14,                       \
        -0x1.f4d25bf6de031p-17, 0x1.b9e6c3578c159p-20, -0x1.5f73c0cf2f4ddp-23,                     \
        0x1.fcbaf89bc7212p-27, -0x1.517b6a0fe3a0dp-30, 0x1.9a0325bfe578dp-34,                      \
        -0x1.b3ce035c42406p-38, 0x1.3b6f3d0cdcc99p-42
/* log(erfc(x)), x from 1 to 6: 2^-57.1 */
#define MT_POLY_ERFC                                                                               \
    -0x1.ddbf0f74e31acp-26, -0x1.20dd70cc45462p+0, -0x1.45f327249a570p-1, -0x1.a4f3029f39489p-4,   \
        0x1.3964d494c6737p-6, 0x1.a8441efaead87p-13, -0x1.b7150e72bc5cdp-10,                       \
        0x1.219886d566460p-11, 0x1.7142ef152ac48p-16, -0x1.d0aaef1845615p-14,                      \
        0x1.0fa1f43043a02p-14, -0x1.975d2a3fd3bddp-16, 0x1.c749cf52c8b50p-18,                      \
        -0x1.8a8876664f8dbp-20, 0x1.0a7244ae5221fp-22, -0x1.148f8977fcc41p-25,                     \
        0x1.ab3393475749dp-29, -0x1.cef86f8ced65ep-33, 0x1.3a2ad62e0d03dp-37,                      \
        -0x1.91b5af520d8d5p-43
#endif
