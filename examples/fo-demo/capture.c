/* SPDX-License-Identifier: BSD-2-Clause */
/* capture.c - captures of Ethernet frames through libpcap, with errors that name the remedy. Neighbours:
 * capture.h, replay.c.
 */
#include "capture.h"

#include <errno.h>
#include <pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "out.h"

#define NS_PER_SECOND UINT64_C(1000000000)
#define MAX_SECONDS   (INT64_C(1) << 33) /* year 2242; beyond it nanoseconds would soon not fit */
#define MAX_FRAME     262144		 /* libpcap's own limit */

struct capture {
	const char *path;
	pcap_t *pcap;
	struct stat file; /* zero for a pipe */
};

struct capture_writer {
	const char *path;
	pcap_t *pcap;
	pcap_dumper_t *dumper;
	int error; /* errno of the first write that failed */
};

static void explain_link_type(const char *path, int type)
{
	const char *name = pcap_datalink_val_to_name(type);
	const char *remedy = "record on an Ethernet device";

	if (type == DLT_LINUX_SLL || type == DLT_LINUX_SLL2)
		remedy = "it was recorded on the device 'any', which drops the Ethernet headers; record on "
			 "one "
			 "device instead (tcpdump -i eth0)";
	out_error("%s: link type %s (%d), but only Ethernet is understood: %s", path,
		  name != NULL ? name : "unknown", type, remedy);
}

static bool open_pcap(struct capture *in)
{
	char why[PCAP_ERRBUF_SIZE] = "";
	bool directory = stat(in->path, &in->file) == 0 && S_ISDIR(in->file.st_mode);
	int type;

	if (directory) {
		out_error("%s: is a directory; name a capture file in it", in->path);
		return false;
	}
	in->pcap = pcap_open_offline_with_tstamp_precision(in->path, PCAP_TSTAMP_PRECISION_NANO, why);
	if (in->pcap == NULL) {
		/* libpcap puts the path first where the system refused, not where the contents are wrong. */
		if (strncmp(why, in->path, strlen(in->path)) == 0)
			out_error("%s", why);
		else
			out_error("%s: %s; a pcap or pcapng file is needed", in->path, why);
		return false;
	}
	type = pcap_datalink(in->pcap);
	if (type == DLT_EN10MB)
		return true;
	explain_link_type(in->path, type);
	pcap_close(in->pcap);
	in->pcap = NULL;
	return false;
}

struct capture *capture_open(const char *path)
{
	struct capture *in = calloc(1, sizeof(*in));

	if (in == NULL) {
		out_error("%s: no memory", path);
		return NULL;
	}
	in->path = path;
	if (open_pcap(in))
		return in;
	free(in);
	return NULL;
}

void capture_close(struct capture *in)
{
	if (in == NULL)
		return;
	if (in->pcap != NULL)
		pcap_close(in->pcap);
	free(in);
}

bool capture_rewind(struct capture *in)
{
	pcap_close(in->pcap);
	in->pcap = NULL;
	return open_pcap(in);
}

static uint64_t frame_time(const struct timeval *tv)
{
	/* With the precision asked for, tv_usec carries nanoseconds. */
	if (tv->tv_sec < 0 || tv->tv_sec >= MAX_SECONDS || tv->tv_usec < 0 ||
	    (uint64_t)tv->tv_usec >= NS_PER_SECOND)
		return 0;
	return (uint64_t)tv->tv_sec * NS_PER_SECOND + (uint64_t)tv->tv_usec;
}

int capture_next(struct capture *in, struct capture_frame *frame)
{
	struct pcap_pkthdr *header;
	const u_char *data;
	int got = pcap_next_ex(in->pcap, &header, &data);

	if (got == PCAP_ERROR_BREAK)
		return 0;
	if (got != 1) {
		out_error("%s: %s; the frames before it are good", in->path, pcap_geterr(in->pcap));
		return -1;
	}
	frame->data = data;
	frame->captured = header->caplen;
	frame->length = header->len > header->caplen ? header->len : header->caplen;
	frame->time_ns = frame_time(&header->ts);
	return 1;
}

double capture_position(const struct capture *in)
{
	FILE *file = pcap_file(in->pcap);
	long at = file != NULL ? ftell(file) : -1;

	if (at < 0 || in->file.st_size <= 0)
		return 0;
	return (double)at / (double)in->file.st_size;
}

static bool is_same_file(const char *path, const struct capture *in)
{
	struct stat there;

	return stat(path, &there) == 0 && there.st_dev == in->file.st_dev && there.st_ino == in->file.st_ino;
}

struct capture_writer *capture_create(const char *path, const struct capture *in)
{
	struct capture_writer *out;

	if (strcmp(path, "-") == 0) {
		out_error("-w -: standard output carries the report; name a file");
		return NULL;
	}
	if (is_same_file(path, in)) {
		out_error("-w %s: that is the capture being read; name another file", path);
		return NULL;
	}
	out = calloc(1, sizeof(*out));
	if (out == NULL) {
		out_error("-w %s: no memory", path);
		return NULL;
	}
	out->path = path;
	out->pcap = pcap_open_dead_with_tstamp_precision(DLT_EN10MB, MAX_FRAME, PCAP_TSTAMP_PRECISION_NANO);
	if (out->pcap != NULL)
		out->dumper = pcap_dump_open(out->pcap, path);
	if (out->dumper != NULL)
		return out;
	out_error("-w %s", out->pcap != NULL ? pcap_geterr(out->pcap) : "no memory");
	if (out->pcap != NULL)
		pcap_close(out->pcap);
	free(out);
	return NULL;
}

void capture_write(struct capture_writer *out, const struct capture_frame *frame)
{
	struct pcap_pkthdr header = {
		.ts.tv_sec = (time_t)(frame->time_ns / NS_PER_SECOND),
		.ts.tv_usec = (suseconds_t)(frame->time_ns % NS_PER_SECOND),
		.caplen = frame->captured,
		.len = frame->length,
	};

	if (out->error != 0)
		return;
	errno = 0;
	pcap_dump((u_char *)out->dumper, &header, frame->data);
	/* pcap_dump() returns nothing; the stream remembers that it failed, errno why. */
	if (ferror(pcap_dump_file(out->dumper)))
		out->error = errno != 0 ? errno : EIO;
}

bool capture_finish(struct capture_writer *out)
{
	bool good;

	if (out == NULL)
		return true;
	if (out->error == 0 && pcap_dump_flush(out->dumper) != 0)
		out->error = errno != 0 ? errno : EIO;
	good = out->error == 0;
	if (!good)
		out_error("-w %s: %s; the file is incomplete", out->path, strerror(out->error));
	pcap_dump_close(out->dumper);
	pcap_close(out->pcap);
	free(out);
	return good;
}
