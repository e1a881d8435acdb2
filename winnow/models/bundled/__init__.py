"""The bundled encoder and the bundled second stage: on the CPU, no download, no server."""
