"""Encodes and decodes canonical trades in Avro (schemas/avro/trade.avsc) by column."""

from k2stream.avro.trade_decoder import Trades, decode, decode_hot
from k2stream.avro.trade_encoder import encode, keys

__all__ = ["Trades", "decode", "decode_hot", "encode", "keys"]
