"""State machines as tables: what an NFS engineer knows about requests, holds and monitors."""
