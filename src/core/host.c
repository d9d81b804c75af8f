/* SPDX-License-Identifier: BSD-2-Clause */
/* host.c - what backends report: the library's side of struct fo_host_ops. */
#include "core/table.h"

static struct fo_table *table_of(struct fo_host *host)
{
	return (struct fo_table *)host;
}

/* The slot of a cookie that lives or is being deleted; FO__NO_SLOT for any other. */
static uint32_t conn_of(const struct fo_table *table, uint64_t cookie)
{
	uint32_t conn = fo__conn_of(table->store, cookie);

	if (conn != FO__NO_SLOT && table->store->cold[conn].life == FO__LIFE_ENDED)
		return FO__NO_SLOT;
	return conn;
}

static uint32_t living(const struct fo_table *table, uint64_t cookie)
{
	uint32_t conn = conn_of(table, cookie);

	return conn != FO__NO_SLOT && table->store->cold[conn].life == FO__LIFE_LIVE ? conn : FO__NO_SLOT;
}

static void host_state(struct fo_host *host, uint64_t cookie, unsigned int state, unsigned int reason)
{
	struct fo_table *table = table_of(host);
	uint32_t conn = living(table, cookie);
	struct fo__cold *cold;

	if (conn == FO__NO_SLOT || state < FO_STATE_ARMED || state > FO_STATE_PARTIAL)
		return;
	cold = &table->store->cold[conn];
	cold->reason = (uint8_t)reason;
	if (cold->state == state)
		return;
	cold->state = (uint8_t)state;
	fo__notice(table, conn, state == FO_STATE_ARMED);
}

/* The backend has forgotten the flow already. */
static void end_here(struct fo_table *table, uint32_t conn, unsigned int reason, int backend_errno)
{
	fo__conn_close(table->store, conn, reason);
	if (reason != FO_R_IDLE && reason != FO_R_TCP_FIN && reason != FO_R_TCP_RST)
		table->store->cold[conn].since_ms = (uint32_t)backend_errno;
	fo__backend_done(table, conn);
}

static void host_refused(struct fo_host *host, uint64_t cookie, const struct fo_error *why)
{
	struct fo_table *table = table_of(host);
	uint32_t conn = living(table, cookie);

	if (conn != FO__NO_SLOT && why)
		fo__remember_words(table, conn, why);
	if (conn != FO__NO_SLOT)
		end_here(table, conn, why && why->reason ? why->reason : FO_R_BACKEND,
			 why ? why->backend_errno : 0);
}

static void host_removed(struct fo_host *host, uint64_t cookie)
{
	struct fo_table *table = table_of(host);
	uint32_t conn = conn_of(table, cookie);

	if (conn != FO__NO_SLOT && (table->store->cold[conn].flags & FO__COLD_BACKEND))
		fo__backend_done(table, conn);
}

static void host_ended(struct fo_host *host, uint64_t cookie, unsigned int reason, int backend_errno)
{
	struct fo_table *table = table_of(host);
	uint32_t conn = living(table, cookie);

	if (conn != FO__NO_SLOT)
		end_here(table, conn, reason, backend_errno);
}

/* The flow is ended when its notice is worked off, not here: flow_del is not called from within the backend's call. */
static void host_closing(struct fo_host *host, uint64_t cookie, unsigned int reason)
{
	struct fo_table *table = table_of(host);
	uint32_t conn = living(table, cookie);

	if (conn == FO__NO_SLOT)
		return;
	atomic_fetch_or(&table->store->lines[conn * 2].ctl,
			reason == FO_R_TCP_RST ? FO__CTL_RST : FO__CTL_FIN);
	fo__notice(table, conn, 0);
}

static void host_all_lost(struct fo_host *host, int backend_errno)
{
	struct fo_table *table = table_of(host);

	for (uint32_t conn = 0; conn < table->store->high; conn++) {
		struct fo__cold *cold = &table->store->cold[conn];

		if (cold->life == FO__LIFE_LIVE)
			end_here(table, conn, FO_R_LOST, backend_errno);
		else if (cold->life == FO__LIFE_DRAIN && (cold->flags & FO__COLD_BACKEND))
			fo__backend_done(table, conn);
	}
}

static void host_count(struct fo_host *host, uint64_t cookie, enum fo_dir dir, uint64_t packets,
		       uint64_t bytes, uint64_t last_seen_ms)
{
	struct fo_table *table = table_of(host);
	uint32_t conn = conn_of(table, cookie);

	if (conn == FO__NO_SLOT || (unsigned int)dir > 1)
		return;
	fo__conn_count(table->store, conn, dir, packets, bytes);
	table->host_packets += packets;
	table->host_bytes += bytes;
	if (!last_seen_ms && packets)
		last_seen_ms = fo__now(table);
	if (last_seen_ms)
		fo__store_relaxed(&table->store->lines[conn * 2 + (uint32_t)dir].last_ms,
				  (uint32_t)last_seen_ms);
}

static uint64_t host_now(struct fo_host *host)
{
	return fo__now(table_of(host));
}

static void *host_alloc(struct fo_host *host, size_t size, size_t align)
{
	return size ? fo__alloc(&table_of(host)->store->memory, size, align) : NULL;
}

static void host_free(struct fo_host *host, void *ptr, size_t size)
{
	fo__free(&table_of(host)->store->memory, ptr, size);
}

const struct fo_host_ops fo__host_ops = {
	.size = sizeof(struct fo_host_ops),
	.state = host_state,
	.refused = host_refused,
	.removed = host_removed,
	.ended = host_ended,
	.closing = host_closing,
	.all_lost = host_all_lost,
	.count = host_count,
	.adopt = fo__policy_adopt,
	.now_ms = host_now,
	.alloc = host_alloc,
	.free = host_free,
	.restore_adj = fo__restore_adj,
	.restore_flow = fo__restore_flow,
	.restore_used = fo__restore_used,
};
