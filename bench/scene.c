/* SPDX-License-Identifier: BSD-2-Clause */
/* scene.c - which entries a chunk asks for. See scene.h. */
#include "scene.h"

#include "zipf.h"

void scene_draw(struct scene *scene)
{
	for (unsigned int i = 0; i < BENCH_CHUNK; i++) {
		uint32_t entry = scene->skewed ? zipf_draw(scene->zipf, &scene->order)
					       : bench_below(&scene->order, scene->entries);

		scene->wanted[i] = scene_number(scene, entry);
	}
}

uint32_t scene_walk(struct scene *scene, uint32_t begin)
{
	uint32_t left = scene->entries - begin;

	for (uint32_t i = 0; i < BENCH_CHUNK; i++)
		scene->wanted[i] = scene_number(scene, i < left ? begin + i : scene->entries - 1);
	return left < BENCH_CHUNK ? left : BENCH_CHUNK;
}
