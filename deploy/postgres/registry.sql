-- The registry keeps its schemas beside the Iceberg catalog.
CREATE DATABASE registry;
