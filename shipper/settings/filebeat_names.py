"""The names of a ``filebeat.yml`` that shipper has not: which are left out without harm, and which are a problem (see ``filebeat``)."""

from __future__ import annotations

OWN = "it concerns Filebeat's own files and buffers"
FILTER = "write it as a filter of a pipeline, which the input names with pipeline:"
IGNORED_BELOW_INPUT = {
    **dict.fromkeys(
        (
            *(
                "harvester_buffer_size",
                "harvester_limit",
                "backoff",
                "max_backoff",
                "backoff_factor",
                "force_close_files",
            ),
            *(
                "close_eof",
                "close_removed",
                "close_renamed",
                "close_timeout",
                "close_older",
                "close_inactive",
                "close.reader",
            ),
            *("close.on_state_change.removed", "close.on_state_change.renamed", "close.on_state_change.check_interval"),
            *("clean_inactive", "clean_removed", "scan", "symlinks", "recursive_glob", "file_identity", "spool_size"),
            *("prospector.scanner.fingerprint", "prospector.scanner.resend_on_touch", "prospector.scanner.symlinks"),
            *("publisher_pipeline", "keep_null", "take_over", "buffer_size", "max_procs"),
        ),
        OWN,
    ),
}
MISSING_BELOW_INPUT = {
    "exclude_lines": f"{FILTER} if [message] =~ /.../ {{ drop {{}} }}",
    "include_lines": f"{FILTER} if [message] !~ /.../ {{ drop {{}} }}",
    "json": f'{FILTER} json {{ source => "message" }}',
    "processors": FILTER,
    "ignore_older": "older files would be shipped too; leave them out with paths or exclude_files",
    "ignore_inactive": "such files would be shipped too; leave them out with paths or exclude_files",
    "tail_files": "files are read from their start; move the old ones out of paths first",
    "prospector.scanner.include_files": "name the files in paths",
    "index": "events of one agent go to one index or data stream",
    "delete": "write on_complete: delete, which waits until the output has all of a file",
}
ENCODINGS = {
    **dict.fromkeys(
        ("latin1", "l1", "iso-8859-1", "iso88591", "iso_8859-1", "cp819", "ascii", "us-ascii"), "windows-1252"
    ),
    **dict.fromkeys(("latin5", "l5", "iso-8859-9", "iso88599", "iso_8859-9"), "windows-1254"),
    **dict.fromkeys(("iso-8859-11", "iso8859-11", "iso885911", "tis-620"), "windows-874"),
    **dict.fromkeys(("shift_jis", "shift-jis", "sjis", "x-sjis", "ms_kanji", "csshiftjis"), "cp932"),
    "utf-16": "utf-16le",
}
"""Names that Filebeat takes as browsers do (the W3C's Encoding), and Python by the letter."""
IGNORED_BELOW_FILEBEAT = {
    **dict.fromkeys(
        ("spool_size", "idle_timeout", "shutdown_timeout", "publish_async", "overwrite_pipelines", "registry_flush"),
        OWN,
    ),
    **dict.fromkeys(
        ("registry", "registry_file"),
        "positions are kept in path.data, and Filebeat's are not taken over: files are read from their start",
    ),
}
IGNORED = {
    **dict.fromkeys(
        (
            *("monitoring", "xpack", "max_procs", "gc_percent", "seccomp", "instrumentation", "features", "timestamp"),
            *("path.home", "path.config", "path.logs", "keystore", "management", "max_start_delay", "ignore_outgoing"),
            *("queue.mem.events", "queue.mem.flush", "queue.spool", "queue_size", "bulk_queue_size"),
            *(
                "queue.disk.segment_size",
                "queue.disk.read_ahead",
                "queue.disk.write_ahead",
                "queue.disk.retry_interval",
            ),
            *("refresh_topology_freq", "topology_expire", "http.pprof", "http.named_pipe"),
        ),
        OWN,
    ),
    "logging": "the log goes to standard error; -v makes it talk",
}
MISSING = {
    "cloud": "write the cluster's address into output.elasticsearch.hosts, and its user or api_key",
}
IGNORED_BELOW_OUTPUT = {
    **dict.fromkeys(
        (
            *(
                "bulk_max_size",
                "max_retries",
                "loadbalance",
                "preset",
                "max_map_length",
                "flush_interval",
                "save_topology",
            ),
            *("allow_older_versions", "escape_html", "idle_connection_timeout", "queue", "worker", "compression_level"),
            *("ssl.supported_protocols", "ssl.cipher_suites", "ssl.curve_types", "ssl.renegotiation", "ssl.enabled"),
        ),
        "the agent chooses it",
    ),
    "template": "`shipper setup` makes the index template",
}
METADATA = frozenset({
    *("add_host_metadata", "add_cloud_metadata", "add_docker_metadata", "add_kubernetes_metadata"),
    *("add_process_metadata", "add_observer_metadata", "add_locale", "add_id"),
})  # fmt: skip
"""Processors that only add: without them, nothing of the event itself is missing."""
