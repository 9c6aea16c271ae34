"""What the Flex Template launcher runs for a stream: FLEX_TEMPLATE_PYTHON_PY_FILE must be a file in the image."""

from beam_talonone.pipelines.distributed.flex_template import main

if __name__ == "__main__":
    main("stream")
