package k2bench;

import java.io.IOException;
import java.nio.ByteOrder;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** How many records were processed, in a mapped file that the harness reads (one stream thread writes). */
final class Progress {
    private final MappedByteBuffer file;
    private long processed;

    Progress(Path path) throws IOException {
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            file = channel.map(FileChannel.MapMode.READ_WRITE, 0, Long.BYTES);
        }
        file.order(ByteOrder.LITTLE_ENDIAN);
    }

    void one() {
        file.putLong(0, ++processed);
    }
}
