// SPDX-License-Identifier: GPL-2.0
/*
 * flood DEV COUNT MODE [DESTINATION [CAPTURE]]: frames of our EtherType, as
 * fast as they go.
 *
 *   random   any length, any bytes behind the Ethernet header
 *   mutated  frames of CAPTURE (u16 length and bytes, repeated), each with one
 *            to four bytes changed, cut short or lengthened
 *
 * The generator's seed is printed and can be given by FEED_FLOOD_SEED.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#define ETHERTYPE	0x88b5
#define BATCH		64
#define LONGEST		1514
#define SAMPLES		256

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

static size_t random_frame(uint8_t *at)
{
	size_t len = 60 + number() % (LONGEST - 60 + 1);

	for (size_t i = ETH_HLEN; i < len; i++)
		at[i] = number() >> 32;
	/* Half of them get past the first check. */
	if (number() & 1) {
		at[ETH_HLEN] = 1;
		memset(at + ETH_HLEN + 4, 0, 4);
	}
	return len;
}

static size_t mutated_frame(uint8_t *at)
{
	int which = number() % sample_count;
	size_t len = samples[which].len;

	memcpy(at + ETH_HLEN, samples[which].bytes + ETH_HLEN, len - ETH_HLEN);
	for (int i = number() % 4; i >= 0; i--)
		at[ETH_HLEN + number() % (len - ETH_HLEN)] = number() >> 32;
	if (number() % 8 == 0)
		len = 60 + number() % (LONGEST - 60 + 1);
	return len < 60 ? 60 : len;
}

static void read_samples(const char *path)
{
	FILE *file = fopen(path, "rb");

	if (!file)
		err(1, "%s", path);
	while (sample_count < SAMPLES && fread(&samples[sample_count].len, 2, 1, file) == 1) {
		size_t len = samples[sample_count].len;

		if (len < 60 || len > LONGEST || fread(samples[sample_count].bytes, 1, len, file) != len)
			errx(1, "%s: a frame of %zu bytes", path, len);
		sample_count++;
	}
	fclose(file);
	if (!sample_count)
		errx(1, "%s: empty", path);
}

int main(int argc, char **argv)
{
	static const uint8_t group[6] = { 0x03, 0x00, 0x46, 0x45, 0x45, 0x44 };
	static uint8_t frames[BATCH][LONGEST];
	struct sockaddr_ll to = { .sll_family = AF_PACKET };
	struct mmsghdr m[BATCH] = { 0 };
	struct iovec iov[BATCH];
	struct ifreq ifr = { 0 };
	uint8_t destination[6];
	const char *given = getenv("FEED_FLOOD_SEED");
	long count, sent = 0;
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

	fd = socket(AF_PACKET, SOCK_RAW, 0);
	if (fd < 0)
		err(1, "socket");
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", argv[1]);
	if (ioctl(fd, SIOCGIFINDEX, &ifr) < 0)
		err(1, "%s", argv[1]);
	to.sll_ifindex = ifr.ifr_ifindex;
	if (ioctl(fd, SIOCGIFHWADDR, &ifr) < 0)
		err(1, "%s", argv[1]);
	for (int i = 0; i < BATCH; i++) {
		memcpy(frames[i], destination, 6);
		memcpy(frames[i] + 6, ifr.ifr_hwaddr.sa_data, 6);
		*(uint16_t *)(frames[i] + 12) = htons(ETHERTYPE);
		iov[i].iov_base = frames[i];
		m[i].msg_hdr.msg_iov = &iov[i];
		m[i].msg_hdr.msg_iovlen = 1;
		m[i].msg_hdr.msg_name = &to;
		m[i].msg_hdr.msg_namelen = sizeof(to);
	}
	while (sent < count) {
		int batch = count - sent < BATCH ? count - sent : BATCH, done;

		for (int i = 0; i < batch; i++)
			iov[i].iov_len = mutate ? mutated_frame(frames[i]) : random_frame(frames[i]);
		for (int i = 0; i < batch; i += done) {
			done = sendmmsg(fd, m + i, batch - i, 0);
			if (done < 0)
				err(1, "sendmmsg");
		}
		sent += batch;
	}
	printf("sent %ld\n", sent);
	return 0;
}
