"""Which task runs next: decisions of the seed, under trio and asyncio."""
