import QtQuick
import QtQuick.Window

Window {
    width: 500
    height: 400
    visible: true
    color: "#204060"

    Grid {
        x: 20
        y: 20
        columns: 8
        spacing: 4
        Repeater {
            model: 40
            Rectangle {
                width: 48
                height: 36
                radius: index % 8
                color: Qt.hsla(index / 40, 0.7, 0.5, 1)
                border.color: "white"
                Text {
                    anchors.centerIn: parent
                    text: index
                    font.family: "DejaVu Sans"
                    font.pixelSize: 14
                }
            }
        }
    }
    Text {
        x: 20
        y: 260
        text: "The quick brown fox jumps over the lazy dog"
        color: "#ffe0a0"
        font.family: "DejaVu Sans"
        font.pixelSize: 22
        rotation: 3
    }
}
