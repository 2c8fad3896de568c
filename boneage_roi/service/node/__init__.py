"""The DICOM node: takes radiographs, reads them, sends findings back. Needs the extras ``node`` and ``dicom``."""
