// SPDX-License-Identifier: GPL-2.0
/*
 * flood DEV COUNT MODE [DESTINATION [CAPTURE]]: frames of our EtherType, as
 * fast as they go.
 *
 *   random   any length; a third is any bytes behind the Ethernet header, a
 *            third any bytes behind a header of ours, a third one message of
 *            a known type that holds any bytes
 *   mutated  frames of CAPTURE (u16 length and bytes, repeated), each with one
 *            to four bytes changed, cut short or lengthened
 *
 * The generator's seed is printed and can be given by FEED_FLOOD_SEED. At the
 * end it says how many frames were sent, and how many of them hold nothing (a
 * right header and no message): only those may go by without being counted as
 * a lookup, an answer or a drop.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#define ETHERTYPE	0x88b5
#define BATCH		256
#define SHORTEST	60
#define LONGEST		1514
#define SAMPLES		256
#define HEADER		24	/* bytes of a frame's header behind the Ethernet header */

static const uint8_t known[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0x20, 0x81, 0x82, 0x83, 0x84, 0x85 };

static uint64_t state;
static struct { uint16_t len; uint8_t bytes[LONGEST]; } samples[SAMPLES];
static int sample_count;

/* xorshift64*: good enough, and the same everywhere */
static uint64_t number(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * 0x2545f4914f6cdd1dull;
}

static size_t some_length(void)
{
	return SHORTEST + number() % (LONGEST - SHORTEST + 1);
}

/* Little-endian, as all machines that this runs on are. */
static void put16(uint8_t *at, size_t value)
{
	uint16_t word = value;

	memcpy(at, &word, sizeof(word));
}

static size_t random_frame(uint8_t *frame)
{
	uint8_t *at = frame + ETH_HLEN;
	size_t len = some_length(), body = len - ETH_HLEN - HEADER;
	int kind = number() % 3;

	for (size_t i = 0; i < len - ETH_HLEN; i += 8) {
		uint64_t word = number();

		memcpy(at + i, &word, sizeof(word));
	}
	if (kind) {
		at[0] = 1;
		at[1] = 0;
		put16(at + 2, body);
		memset(at + 4, 0, 4);
	}
	if (kind == 2) {
		at[HEADER] = known[number() % sizeof(known)];
		at[HEADER + 1] = 0;
		put16(at + HEADER + 2, body);
	}
	return len;
}

static size_t mutated_frame(uint8_t *frame)
{
	int which = number() % sample_count;
	size_t len = samples[which].len;

	memcpy(frame + ETH_HLEN, samples[which].bytes + ETH_HLEN, len - ETH_HLEN);
	for (int i = number() % 4; i >= 0; i--)
		frame[ETH_HLEN + number() % (len - ETH_HLEN)] = number() >> 32;
	if (number() % 8 == 0)
		len = some_length();
	return len;
}

static bool holds_nothing(const uint8_t *frame, size_t len)
{
	const uint8_t *at = frame + ETH_HLEN;
	uint16_t body;

	memcpy(&body, at + 2, sizeof(body));
	if (at[0] != 1 || at[1] > 1 || at[4] || at[5] || at[6] || at[7] || body > len - ETH_HLEN - HEADER)
		return false;
	return body == 0 || at[HEADER] == 0;
}

static void read_samples(const char *path)
{
	FILE *file = fopen(path, "rb");

	if (!file)
		err(1, "%s", path);
	while (sample_count < SAMPLES && fread(&samples[sample_count].len, 2, 1, file) == 1) {
		size_t len = samples[sample_count].len;

		if (len < SHORTEST || len > LONGEST || fread(samples[sample_count].bytes, 1, len, file) != len)
			errx(1, "%s: a frame of %zu bytes", path, len);
		sample_count++;
	}
	fclose(file);
	if (!sample_count)
		errx(1, "%s: empty", path);
}

static int open_device(const char *name, struct sockaddr_ll *to, uint8_t *mac)
{
	struct ifreq ifr = { 0 };
	int fd = socket(AF_PACKET, SOCK_RAW, 0), one = 1;

	if (fd < 0)
		err(1, "socket");
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (ioctl(fd, SIOCGIFINDEX, &ifr) < 0)
		err(1, "%s", name);
	to->sll_ifindex = ifr.ifr_ifindex;
	if (ioctl(fd, SIOCGIFHWADDR, &ifr) < 0)
		err(1, "%s", name);
	memcpy(mac, ifr.ifr_hwaddr.sa_data, 6);
	if (setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) < 0)
		err(1, "PACKET_QDISC_BYPASS");
	return fd;
}

int main(int argc, char **argv)
{
	static const uint8_t group[6] = { 0x03, 0x00, 0x46, 0x45, 0x45, 0x44 };
	static uint8_t frames[BATCH][LONGEST + 8];
	struct sockaddr_ll to = { .sll_family = AF_PACKET };
	static struct mmsghdr m[BATCH];
	static struct iovec iov[BATCH];
	uint8_t destination[6], mac[6];
	const char *given = getenv("FEED_FLOOD_SEED");
	long count, sent = 0, empty = 0;
	int fd, mutate;

	if (argc < 4)
		errx(2, "usage: flood DEV COUNT random|mutated [DESTINATION [CAPTURE]]");
	count = atol(argv[2]);
	mutate = !strcmp(argv[3], "mutated");
	memcpy(destination, group, 6);
	if (argc > 4 && sscanf(argv[4], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &destination[0], &destination[1],
			       &destination[2], &destination[3], &destination[4], &destination[5]) != 6)
		errx(2, "no address: %s", argv[4]);
	if (mutate)
		read_samples(argc > 5 ? argv[5] : "");
	state = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 0x9e3779b97f4a7c15ull | 1;
	printf("seed %#llx\n", (unsigned long long)state);

	fd = open_device(argv[1], &to, mac);
	for (int i = 0; i < BATCH; i++) {
		memcpy(frames[i], destination, 6);
		memcpy(frames[i] + 6, mac, 6);
		*(uint16_t *)(frames[i] + 12) = htons(ETHERTYPE);
		iov[i].iov_base = frames[i];
		m[i].msg_hdr.msg_iov = &iov[i];
		m[i].msg_hdr.msg_iovlen = 1;
		m[i].msg_hdr.msg_name = &to;
		m[i].msg_hdr.msg_namelen = sizeof(to);
	}
	while (sent < count) {
		int batch = count - sent < BATCH ? count - sent : BATCH, done;

		for (int i = 0; i < batch; i++) {
			iov[i].iov_len = mutate ? mutated_frame(frames[i]) : random_frame(frames[i]);
			empty += holds_nothing(frames[i], iov[i].iov_len);
		}
		for (int i = 0; i < batch; i += done) {
			done = sendmmsg(fd, m + i, batch - i, 0);
			if (done < 0)
				err(1, "sendmmsg");
		}
		sent += batch;
	}
	printf("sent %ld empty %ld\n", sent, empty);
	return 0;
}
