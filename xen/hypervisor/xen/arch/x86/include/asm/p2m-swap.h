/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Swapping P2M entries of two HVM domains: see arch/x86/mm/p2m-swap/.
 */
#ifndef ASM_X86_P2M_SWAP_H
#define ASM_X86_P2M_SWAP_H

#include <xen/guest_access.h>

#include <public/memory.h>
#include <public/p2m_swap.h>

long p2m_swap_memop(XEN_GUEST_HANDLE_PARAM(xen_p2m_swap_t) arg);

#endif /* ASM_X86_P2M_SWAP_H */
