// SPDX-License-Identifier: BSD-2-Clause
// table_absl.cc - Abseil's flat_hash_map from keys to records, its prefetch() a burst ahead. See tables.h. A table for one
// thread: no reader may look while somebody adds.
#include <array>
#include <new>

#include <absl/container/flat_hash_map.h>

#include "bench.h"
#include "tables.h"

namespace
{

// The pages that all others have.
template <typename T> struct Pages {
	using value_type = T;

	Pages() = default;
	template <typename U> Pages(const Pages<U> &)
	{
	}
	T *allocate(std::size_t n)
	{
		return static_cast<T *>(bench_memory(n * sizeof(T)));
	}
	void deallocate(T *ptr, std::size_t n)
	{
		bench_memory_free(ptr, n * sizeof(T));
	}
};

template <typename T, typename U> bool operator==(const Pages<T> &, const Pages<U> &)
{
	return true;
}

template <typename T, typename U> bool operator!=(const Pages<T> &, const Pages<U> &)
{
	return false;
}

template <std::size_t Words> using Bytes = std::array<std::uint64_t, Words>;
template <std::size_t Words>
using Map = absl::flat_hash_map<Bytes<Words>, touched, absl::Hash<Bytes<Words>>, std::equal_to<Bytes<Words>>,
				Pages<std::pair<const Bytes<Words>, touched>>>;

template <std::size_t Words> struct Kind {
	using Table = Map<Words>;
	using Key = typename Table::key_type;

	static const Key &key_of(const void *bytes)
	{
		return *static_cast<const Key *>(bytes);
	}

	static uint32_t touch(Table &map, table_burst *burst)
	{
		uint32_t found = 0;

		for (uint32_t i = 0; i < burst->n; i++)
			map.prefetch(key_of(burst->keys[i]));
		for (uint32_t i = 0; i < burst->n; i++) {
			auto at = map.find(key_of(burst->keys[i]));

			if (at != map.end())
				found += table_touch(&at->second, burst);
		}
		return found;
	}

	static const touched *find(Table &map, const void *key)
	{
		auto at = map.find(key_of(key));

		return at == map.end() ? nullptr : &at->second;
	}

	static size_t bytes(const Table &map)
	{
		return map.capacity() * (sizeof(typename Table::value_type) + 1);
	}
};

struct Either {
	bool longer;
	Map<2> two;
	Map<6> six;
};

using Short = Kind<2>;
using Long = Kind<6>;

Either *of(void *ctx)
{
	return static_cast<Either *>(ctx);
}

void *open_table(const table_room *room)
{
	Either *table = new (std::nothrow) Either();

	if (!table)
		return nullptr;
	table->longer = room->key_length > 16;
	if (table->longer)
		table->six.reserve(room->entries);
	else
		table->two.reserve(room->entries);
	return table;
}

void close_table(void *ctx)
{
	delete of(ctx);
}

int add(void *ctx, const void *key)
{
	Either *table = of(ctx);
	bool added = table->longer ? table->six.try_emplace(Long::key_of(key)).second :
				     table->two.try_emplace(Short::key_of(key)).second;

	return added ? 0 : -1;
}

int del(void *ctx, const void *key)
{
	Either *table = of(ctx);
	size_t gone = table->longer ? table->six.erase(Long::key_of(key)) : table->two.erase(Short::key_of(key));

	return gone ? 0 : -1;
}

uint32_t touch(void *ctx, table_burst *burst)
{
	Either *table = of(ctx);

	return table->longer ? Long::touch(table->six, burst) : Short::touch(table->two, burst);
}

const touched *find(void *ctx, const void *key)
{
	Either *table = of(ctx);

	return table->longer ? Long::find(table->six, key) : Short::find(table->two, key);
}

size_t bytes(const void *ctx)
{
	const Either *table = static_cast<const Either *>(ctx);

	return table->longer ? Long::bytes(table->six) : Short::bytes(table->two);
}

} // namespace

extern "C" const table_kind table_absl = {
	"absl flat_hash_map", 1, open_table, close_table, add, del, touch, find, bytes,
};
